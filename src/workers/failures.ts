import { status as Status } from '@grpc/grpc-js';

/**
 * lost: the worker went away or was not reached, full: it has no room, so that another one may do;
 * refused: it does not take the task, deadline: the time was up, broken: it answered with nonsense, oversized: with too much.
 */
export type FailureKind = 'lost' | 'full' | 'refused' | 'deadline' | 'broken' | 'oversized' | 'unimplemented';

/** Why a call to a worker failed; the message, which continues "the worker …", is for everybody. */
export class WorkerFailure extends Error {
  readonly kind: FailureKind;
  /** what the worker itself wrote, for the model only */
  readonly workerWords: string | undefined;

  constructor(kind: FailureKind, message: string, workerWords?: string) {
    super(message);
    this.name = 'WorkerFailure';
    this.kind = kind;
    this.workerWords = workerWords;
  }
}

/** What is known about the connection, for a guess at why it fails. */
export type ConnectionFacts = {
  isTls: boolean;
  hasClientCertificate: boolean;
  /** the same certificates were good enough before */
  hasWorked: boolean;
  /** what is wrong with our own certificate, as far as we can tell */
  ownProblem: string | undefined;
};

const mostWordsChars = 1_000;

/** A failed call in plain words: nothing that the worker or the system wrote, but for `workerWords`. */
export function toFailure(error: unknown, facts: ConnectionFacts): WorkerFailure {
  if (error instanceof WorkerFailure) return error;
  const { code, details = '' } = error as { code?: unknown; details?: string };
  switch (code) {
    case Status.UNAVAILABLE:
      return new WorkerFailure('lost', connectionReason(details, facts));
    case Status.DEADLINE_EXCEEDED:
      return new WorkerFailure('deadline', 'did not answer in time');
    case Status.RESOURCE_EXHAUSTED:
      if (/larger than|exceeds maximum/.test(details))
        return new WorkerFailure('oversized', 'sent or was sent a message that is too large');
      return new WorkerFailure('full', 'has no room for another task');
    case Status.UNIMPLEMENTED:
      return new WorkerFailure('unimplemented', 'does not serve grpc.health.v1 or paf.worker.v1');
    case Status.INVALID_ARGUMENT:
    case Status.NOT_FOUND:
    case Status.ALREADY_EXISTS:
    case Status.FAILED_PRECONDITION:
    case Status.OUT_OF_RANGE:
      return new WorkerFailure('refused', 'refused the task', details.slice(0, mostWordsChars));
    case Status.PERMISSION_DENIED:
    case Status.UNAUTHENTICATED:
      return new WorkerFailure('refused', 'does not allow this service to use it');
    case Status.CANCELLED:
      // so says gRPC, not the worker: its end of the connection was torn down with all calls on it
      if (details === 'Call cancelled') return new WorkerFailure('lost', connectionReason('', facts));
      return new WorkerFailure('broken', 'cancelled the task');
    case Status.INTERNAL:
      // by gRPC on our side: what somebody asks for must not count against the worker
      if (details.startsWith('Request message serialization failure'))
        return new WorkerFailure('oversized', 'was sent arguments that nest too deeply');
      return new WorkerFailure('broken', 'broke off the call (INTERNAL)');
    default:
      return new WorkerFailure('broken', `broke off the call (${nameOf(code)})`);
  }
}

function nameOf(code: unknown): string {
  return (typeof code === 'number' ? Status[code] : undefined) ?? 'no status';
}

/** What the connection died of, by the words of OpenSSL, Node and grpc-js. */
const reasons: [words: RegExp, reason: string][] = [
  [/ECONNREFUSED/, 'is not there: nothing listens at its address'],
  [/ENOTFOUND|EAI_AGAIN|Name resolution failed/, 'is not there: its host is not known'],
  [/EHOSTUNREACH|ENETUNREACH|ETIMEDOUT/, 'is not there: its host cannot be reached'],
  [/certificate has expired|CERT_HAS_EXPIRED/i, 'shows a certificate that has expired'],
  [/not yet valid/i, 'shows a certificate that is not valid yet'],
  [/altnames|Hostname\/IP/i, 'shows a certificate for another name (see WORKER_TLS_SERVER_NAME)'],
  [
    /self.signed|unable to (get|verify)|issuer|UNABLE_TO|DEPTH_ZERO|certificate signature failure/i,
    'shows a certificate that WORKER_TLS_CA_FILE does not vouch for',
  ],
  [/wrong version number|packet length too long|EPROTO/i, 'does not speak TLS (see WORKER_PLAINTEXT)'],
  [/Protocol error|Parse Error|NGHTTP2|HTTP.?1/i, 'does not speak gRPC'],
];

/** What a worker says about a certificate of ours that it does not take. */
const ownCertificate = /alert (bad certificate|unknown ca|certificate|handshake)|tlsv1\d? alert/i;

function connectionReason(details: string, facts: ConnectionFacts): string {
  const known = reasons.find(([words]) => words.test(details));
  if (known) return known[1];
  const cause = likelyCause(details, facts);
  return cause === undefined ? 'lost the connection' : `closed the connection, probably because ${cause}`;
}

/** Workers that do not like how they are talked to hang up, most of them without a word. */
function likelyCause(details: string, facts: ConnectionFacts): string | undefined {
  const { isTls, hasClientCertificate, hasWorked, ownProblem } = facts;
  if (hasWorked) return undefined;
  if (!isTls) {
    return details.startsWith('No connection') ? 'it wants TLS (WORKER_TLS_CA_FILE)' : undefined;
  }
  if (ownProblem !== undefined) return ownProblem;
  if (!hasClientCertificate) {
    return 'it wants a client certificate (WORKER_TLS_CERT_FILE and WORKER_TLS_KEY_FILE)';
  }
  const isRefused = ownCertificate.test(details) || details.startsWith('No connection');
  return isRefused ? 'it does not accept our client certificate (WORKER_TLS_CERT_FILE)' : undefined;
}
