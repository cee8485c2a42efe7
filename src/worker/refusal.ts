import type { ServiceError } from '@grpc/grpc-js';

export const stopping = 'The worker is about to stop.';

/** Ends a call with a status, before anything was accepted; the message is for the caller. */
export class CallRefusal extends Error implements Pick<ServiceError, 'code' | 'details'> {
  readonly code: number;
  readonly details: string;

  constructor(code: number, details: string) {
    super(details);
    this.name = 'CallRefusal';
    this.code = code;
    this.details = details;
  }
}
