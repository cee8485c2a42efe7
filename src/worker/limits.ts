/** What a worker takes and gives. The default limit of most gRPC clients for a message is 4 MiB. */
export const maxRequestBytes = 32 * 1024 * 1024;
export const maxResultBytes = 4 * 1024 * 1024 - 64 * 1024;
export const maxTaskMs = 300_000;

/** How long and how much of finished tasks is remembered. */
export const memory = { ms: 300_000, tasks: 1_000, bytes: 64 * 1024 * 1024 };
