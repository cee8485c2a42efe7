import { readFileSync } from 'node:fs';

/** /proc counts processor time in ticks of 1/100 s on every Linux that Node supports. */
const msPerTick = 10;

/** User and system time of a process with all its threads; undefined where there is no /proc. */
export function cpuMs(pid: number): number | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  // The second field, the name in parentheses, may hold spaces.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields && (Number(fields[11]) + Number(fields[12])) * msPerTick;
}

/** Resident memory in KiB; undefined where there is no /proc. */
export function rssKib(pid: number): number | undefined {
  const size = /^VmRSS:\s+(\d+) kB$/m.exec(readProc(`/proc/${pid}/status`) ?? '')?.[1];
  return size === undefined ? undefined : Number(size);
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

export function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
