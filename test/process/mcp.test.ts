import { expect, test, vi } from 'vitest';
import { isAlive, type OddServer, oddServer, patient } from '../helpers/mcp.ts';
import { startProcess } from './service-process.ts';

const gone = (pid: number) => vi.waitFor(() => expect(isAlive(pid)).toBe(false), patient);

/** The service as a process, with servers that are processes of its own. */
async function startWith(servers: Record<string, OddServer>) {
  const entries = Object.entries(servers).map(([name, { config }]) => [name, config] as const);
  const list = entries.map(([name, config]) =>
    config.transport === 'stdio' ? [name, { command: config.command, args: config.args }] : [],
  );
  const service = await startProcess({ MCP_SERVERS: JSON.stringify(Object.fromEntries(list)) });
  return service;
}

test('SIGTERM ends the servers too, also one that ignores it', async () => {
  const [plain, stubborn, silent] = [oddServer('plain'), oddServer('stubborn'), oddServer('silent')];
  // the silent one does not hold up the start
  const service = await startWith({ plain, stubborn, silent });
  await service.waitForOutput(/"mcp_server":"plain".*"MCP server connected"/);
  await service.waitForOutput(/"mcp_server":"stubborn".*"MCP server connected"/);
  const pids = [plain, stubborn, silent].flatMap((server) => server.pids());
  expect(pids.map(isAlive)).toEqual([true, true, true]);
  const startedMs = performance.now();
  service.kill('SIGTERM');
  expect(await service.exited).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(4000);
  expect(pids.map(isAlive)).toEqual([false, false, false]);
  expect(service.stderr()).toBe('');
});

test('a service that is killed leaves no server behind', async () => {
  const plain = oddServer('plain');
  const service = await startWith({ plain });
  await service.waitForOutput(/"MCP server connected"/);
  const [pid = 0] = plain.pids();
  expect(isAlive(pid)).toBe(true);
  service.kill('SIGKILL');
  expect(await service.exited).toBe('SIGKILL');
  await gone(pid);
});
