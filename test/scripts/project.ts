import { type ChildProcessByStdio, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../', import.meta.url));

/** Serves nothing: says who it is and waits for SIGTERM. */
export const service = `
process.on('SIGTERM', () => process.exit(0));
setInterval(() => {}, 1000);
console.log(JSON.stringify({ pid: process.pid, port: process.env.PORT ?? null, home: process.env.HOME ?? null,
  directory: process.cwd(), arguments: process.argv.slice(2) }));
`;

/** Stands in for npm: "installs" a Node and a tsc, and notes its calls and the place of its cache. */
const npm = `#!/usr/bin/env bash
echo "$* | home=$HOME cache=$npm_config_cache" >>"$PROJECT/npm-calls"
[ -z "$NPM_HANGS" ] || exec sleep 15
[ -z "$NPM_SLEEP" ] || sleep "$NPM_SLEEP"
[ "$(wc -l <"$PROJECT/npm-calls")" -gt "\${NPM_FAILURES:-0}" ] || { echo 'npm error: no network' >&2; exit 1; }
mkdir -p node_modules/node/bin node_modules/typescript/bin node_modules/.bin
ln -s '${process.execPath}' node_modules/node/bin/node
cp "$PROJECT/stand-ins/tsc.cjs" node_modules/typescript/bin/tsc
cp "$PROJECT"/stand-ins/bin/* node_modules/.bin/ 2>/dev/null || true
`;

/** Stands in for tsc: copies main.ts, fails where it says "broken", and notes its calls. */
const tsc = `
const fs = require('node:fs');
const out = process.argv[process.argv.indexOf('--outDir') + 1];
fs.appendFileSync('tsc-calls', out + '\\n');
const text = fs.readFileSync('src/main.ts', 'utf8');
fs.mkdirSync(out, { recursive: true });
fs.writeFileSync(out + '/main.js', text);
if (text.includes('broken')) { console.error('src/main.ts(1,1): error TS1'); process.exit(2); }
`;

export type Ended = { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string };
export type Running = {
  pid: number;
  /** the first line of stdout, parsed; rejects when the process ends without one */
  said: Promise<{
    pid: number;
    port: string | null;
    home: string | null;
    directory: string;
    arguments: string[];
  }>;
  /** what stderr has received up to now */
  stderr(): string;
  ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
};

/** A project with the real scripts and stand-ins for npm and tsc, in a folder with spaces in its path. */
export function createProject() {
  const parent = mkdtempSync(join(tmpdir(), 'paf scripts '));
  const root = join(parent, 'a project');
  const children: ChildProcessByStdio<null, Readable, Readable>[] = [];
  const write = (path: string, text: string, mode = 0o644) => {
    const absolute = join(root, path);
    mkdirSync(dirname(absolute), { recursive: true });
    rmSync(absolute, { force: true }); // never write through a link
    writeFileSync(absolute, text);
    chmodSync(absolute, mode);
  };
  const lines = (path: string) =>
    existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8').trim().split('\n') : [];

  mkdirSync(join(root, 'scripts'), { recursive: true });
  for (const script of ['install.sh', 'build.sh', 'start.sh', 'test.sh']) {
    cpSync(join(repository, 'scripts', script), join(root, 'scripts', script));
  }
  write('package.json', '{}');
  write('package-lock.json', '{ "version": 1 }');
  write('tsconfig.json', '{}');
  write('src/main.ts', service);
  write('src/llm/models.yaml', 'models: []\n');
  write('stand-ins/tsc.cjs', tsc);
  write('tools/npm', npm, 0o755);
  symlinkSync(process.execPath, join(root, 'tools/node'));
  mkdirSync(join(parent, 'home'));
  mkdirSync(join(parent, 'elsewhere'));

  const environment = {
    PATH: `${join(root, 'tools')}:/usr/bin:/bin`,
    HOME: join(parent, 'home'),
    PROJECT: root,
  };

  return {
    root,
    home: environment.HOME,
    write,
    read: (path: string) => readFileSync(join(root, path), 'utf8'),
    remove: (path: string) => rmSync(join(root, path)),
    /** A link to the machine's program of that name. */
    link(path: string): void {
      const name = basename(path);
      const found = ['/usr/bin', '/bin', '/usr/local/bin'].find((place) => existsSync(join(place, name)));
      if (found !== undefined) symlinkSync(join(found, name), join(root, path));
    },
    has: (path: string) => existsSync(join(root, path)),
    npmCalls: () => lines('npm-calls'),
    tscCalls: () => lines('tsc-calls'),

    run(script: string, env: Record<string, string | undefined> = {}, args: string[] = []): Running {
      const child = spawn(join(root, 'scripts', script), args, {
        cwd: join(parent, 'elsewhere'),
        env: { ...environment, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true, // a process group of its own, which close() can end as a whole
      });
      children.push(child);
      let stdout = '';
      let stderr = '';
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
      });
      const ended = new Promise<Ended>((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
      });
      const said = new Promise<string>((resolve, reject) => {
        child.stdout.on('data', (chunk) => {
          stdout += chunk;
          if (stdout.includes('\n')) resolve(stdout.slice(0, stdout.indexOf('\n')));
        });
        ended.then(() => reject(new Error(`ended without a word: ${stderr}`)), reject);
      }).then((line) => JSON.parse(line));
      said.catch(() => {});
      return {
        pid: child.pid ?? 0,
        said,
        stderr: () => stderr,
        ended,
        kill: (signal) => void child.kill(signal),
      };
    },

    /** Ends what a failed test left running and removes the folder. */
    close(): void {
      for (const { pid } of children) if (pid !== undefined) endGroup(pid);
      rmSync(parent, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export type Project = ReturnType<typeof createProject>;
