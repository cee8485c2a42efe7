/**
 * Why a request to an address that a caller chose was not made or not answered. The message continues the name of the
 * field that held the address, and never quotes the address: it may hold a signature.
 */
export class Refusal extends Error {
  readonly isRetryable: boolean;

  constructor(message: string, options: { cause?: unknown; isRetryable?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Refusal';
    this.isRetryable = options.isRetryable ?? false;
  }
}
