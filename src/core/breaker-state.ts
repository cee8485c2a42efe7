/** `open`: no call is made; `half_open`: the next call is let through to try. */
export const breakerStates = ['closed', 'open', 'half_open'] as const;
export type BreakerState = (typeof breakerStates)[number];
