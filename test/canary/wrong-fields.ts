import type { Operation } from '../helpers/contract.ts';
import { jsonPost } from '../helpers/service.ts';
import type { Canaries } from './canaries.ts';
import type { World } from './world.ts';

type Schema = {
  type?: string | string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
};

/** A value of the wrong type for each field of each body, and a field too many. */
export async function wrongFields(world: World): Promise<void> {
  // one caller alone would be one who asks too often
  const { signer, ann, canaries } = world;
  const document = JSON.parse((await ann.send('getOpenApi', '/openapi.json')).text);
  const { at } = canaries;
  for (const [path, item] of Object.entries(document.paths as Record<string, Record<string, Operation>>))
    for (const [method, operation] of Object.entries(item)) {
      const schema = operation.requestBody?.content['application/json']?.schema as Schema | undefined;
      const url = path.replaceAll(/\{\w+\}/g, at('unknown id'));
      const send = (body: unknown, headers = {}, query = '') =>
        signer.send(operation.operationId, `${url}${query}`, {
          method: method.toUpperCase(),
          headers: { 'content-type': 'application/json', ...headers },
          ...(schema && method !== 'get'
            ? { body: typeof body === 'string' ? body : JSON.stringify(body) }
            : {}),
        });
      if (path !== '/api/ws')
        await send(
          {},
          {},
          `?after=${at('wrong query')}&limit=${at('wrong query')}&cursor=${at('wrong query')}`,
        );
      if (!schema) continue;
      for (const body of wrongBodies(schema, canaries)) await send(body);
      await send(`{"message": "${at('broken JSON')}", `);
      await send(`{"message": "x", "__proto__": {"a": "${at('broken JSON')}"}}`);
      await send(at('broken JSON'), { 'content-type': `text/${at('wrong header')}` });
      await send({ message: 'Hi.' }, { 'content-encoding': at('wrong header') });
      await send({ message: 'Hi.' }, { 'idempotency-key': `${at('Idempotency-Key')} ${at('wrong header')}` });
      await send({ message: `${at('oversize body')}${'x'.repeat(600 * 1024)}` });
    }
  await ann.send('resumeRun', `/api/runs/${at('unknown id')}/events`, {
    headers: { 'last-event-id': at('wrong header') },
  });
  for (const body of [
    { message: 'Hi.', model: at('unknown model') },
    { message: 'Hi.', provider: at('unknown model') },
    { message: 'Hi.', tools: [at('unknown tool')] },
    { message: 'Hi.', session_id: at('unknown id') },
    { message: 'Hi.', response_format: { type: 'json_schema', schema: { type: at('wrong value') } } },
    { message: 'Hi.', images: [{ data: `${at('wrong value')}!`, mime_type: 'image/png' }] },
    { message: 'Hi.', metadata: { a: at('wrong value').repeat(500) } },
    { message: 'Hi.', session_id: 'x', history: [{ role: 'user', content: at('wrong value') }] },
    { message: '  ', [at('unknown field')]: 1 },
  ])
    await ann.send('chat', '/api/chat', jsonPost(body));
}

/** One body for each field that the schema names, at any depth, with a wrong value in it. */
function wrongBodies(schema: Schema, { at }: Canaries): object[] {
  const wrong = (field: Schema) => {
    const types = [field.type ?? 'string'].flat();
    return types.includes('string') ? { a: at('wrong value') } : at('wrong value');
  };
  const bodies: object[] = [{ [at('unknown field')]: at('wrong value') }, [at('wrong value')]];
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    // whatever the field holds, the message is refused
    bodies.push({ message: 7, [name]: wrong(field) });
    if (name !== 'message') bodies.push({ message: 7, [name]: at('wrong value').repeat(300) });
    const inner = field.items?.properties ? field.items : field;
    if (!inner.properties) continue;
    for (const body of wrongBodies(inner, { at } as Canaries))
      bodies.push({ message: 7, [name]: field.items ? [body] : body });
  }
  return bodies;
}
