const maxErrorBytes = 64 * 1024;
/** the longest delay that a timer takes: no timeout */
export const noTimeoutMs = 2 ** 31 - 1;

/** The SDK reads the whole body of an error, so it is given one with an end. */
export async function boundErrorBody(response: Response): Promise<Response> {
  if (response.ok) return response;
  const text = await readText(response, maxErrorBytes).catch(() => '');
  return new Response(text, { status: response.status, headers: response.headers });
}

/** The body's text up to a limit; the rest is not fetched. */
export async function readText(response: Response, maxBytes: number): Promise<string> {
  if (!response.body) return '';
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
    if (size > maxBytes) {
      reader.cancel().catch(ignore);
      break;
    }
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8');
}

export function contentType(response: Response): string {
  return (response.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

export function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

export function ignore(): void {}
