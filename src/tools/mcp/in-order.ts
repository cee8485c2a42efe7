import type { Transport } from '@modelcontextprotocol/client';

type Deliver = NonNullable<Transport['onmessage']>;
type Delivery = Parameters<Deliver>;

/**
 * Lets notifications be handled before the next reply is delivered. The SDK handles notifications a moment later than
 * replies, so that progress which came just before its reply would be lost.
 */
export function deliverInOrder(transport: Transport): void {
  const start = transport.start.bind(transport);
  transport.start = () => {
    const { onmessage: deliver, onclose: end } = transport;
    /** a reply and what came after it */
    const waiting: Delivery[] = [];
    let hasFreshNotice = false;
    const pass = (message: Delivery) => {
      if (!('id' in message[0])) hasFreshNotice = true;
      deliver?.(...message);
    };
    const goOn = () => {
      hasFreshNotice = false;
      while (waiting[0] && !mustWait(waiting[0])) pass(waiting.shift() as Delivery);
      if (waiting.length > 0) setImmediate(goOn);
    };
    const mustWait = ([message]: Delivery) => hasFreshNotice && 'id' in message;
    transport.onmessage = (...message: Delivery) => {
      if (waiting.length === 0 && !mustWait(message)) return pass(message);
      waiting.push(message);
      if (waiting.length === 1) setImmediate(goOn);
    };
    transport.onclose = () => {
      // what came before the end counts
      for (const message of waiting.splice(0)) deliver?.(...message);
      end?.();
    };
    return start();
  };
}
