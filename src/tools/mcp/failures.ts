import { ProtocolError, SdkError, SdkErrorCode, SdkHttpError, SseError } from '@modelcontextprotocol/client';

/** The code of an answer that our transport gives in place of a server's; of those that JSON-RPC leaves to us. */
export const streamEnded = -32_077;

/** Why a connection or a call failed, in plain words: nothing that the server or the system wrote. */
export function reasonOf(error: unknown): string {
  const status = statusOf(error);
  if (status !== undefined && status >= 300 && status < 400)
    return `it redirects to another address, which is not followed (HTTP status ${status})`;
  if (status !== undefined) return `it answered with HTTP status ${status}`;
  if (error instanceof McpFailure) return error.message;
  if (isTimeout(error)) return 'it did not answer in time';
  if (error instanceof ProtocolError) {
    if (error.code === streamEnded) return 'it ended the stream without an answer';
    return `it answered with error ${error.code}`;
  }
  const code = networkCodeOf(error);
  if (code !== undefined && /CERT|SIGNATURE|ERR_TLS/.test(code)) return 'its certificate is not trusted';
  if (code !== undefined) return networkReasons[code] ?? `the connection failed (${code})`;
  return 'the connection failed';
}

/** What a server wrote into the error that it answered with. */
export function serverWordsOf(error: unknown): string | undefined {
  return error instanceof ProtocolError && error.code !== streamEnded ? error.message : undefined;
}

/** A failure that we found ourselves; its message is for everybody. */
export class McpFailure extends Error {}

const networkReasons: Record<string, string> = {
  ECONNREFUSED: 'nothing listens at its address',
  ENOTFOUND: 'its host is not known',
  EAI_AGAIN: 'its host is not known',
  ECONNRESET: 'it closed the connection',
  ERR_OTHER_ORIGIN: 'it leads to another address, which is not followed',
  UND_ERR_SOCKET: 'it closed the connection',
};

/** The HTTP status that a request got instead of an answer. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof SdkHttpError) return error.status;
  return error instanceof SseError ? error.code : undefined;
}

export function isTimeout(error: unknown): boolean {
  if (error instanceof SdkError) return error.code === SdkErrorCode.RequestTimeout;
  return error instanceof DOMException && error.name === 'TimeoutError';
}

/**
 * Whether the server says that it does not know our session, as it does after a restart. The specification asks for
 * 404; many servers send 400 with words of their own. What it refused so was not carried out.
 */
export function isSessionLost(error: unknown, sessionId: string | undefined): boolean {
  if (!(error instanceof SdkHttpError) || sessionId === undefined) return false;
  if (error.status === 404) return true;
  return error.status === 400 && /session|not initialized/i.test(String(error.data.text ?? ''));
}

const goneStatuses = [400, 401, 403, 404, 410, 502, 503, 504];

/** Whether a failed ping shows that the connection is of no more use. */
export function isGone(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return goneStatuses.includes(status);
  // an error as the answer to a ping is a sign of life
  if (error instanceof ProtocolError) return false;
  return !isTimeout(error);
}

function networkCodeOf(error: unknown): string | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { code } = each as NodeJS.ErrnoException;
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,40}$/.test(code)) return code;
  }
  return undefined;
}
