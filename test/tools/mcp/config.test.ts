import { expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../../../src/config.ts';

const files: Record<string, string> = {};

function load(env: Record<string, string>) {
  return loadConfig(env, (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error('none'), { code: 'ENOENT' });
    return text;
  });
}

const serversOf = (servers: unknown, env: Record<string, string> = {}) =>
  load({ ...env, MCP_SERVERS: JSON.stringify(servers) }).config.mcpServers;

function problemsOf(env: Record<string, string>): string[] {
  try {
    load(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** How a value names a variable. */
const ref = (name: string) => `\${${name}}`;

const stdio = { transport: 'stdio', args: [], env: {}, cwd: undefined };

test('servers of both kinds, in their order', () => {
  const servers = {
    zoo: { command: 'npx', args: ['-y', 'zoo'], cwd: '/srv', env: { LEVEL: 'debug' } },
    api: { url: 'https://mcp.example.com/mcp?team=a', headers: { 'X-Team': 'a' } },
    old: { type: 'sse', url: 'http://old.example.com/sse' },
    new: { type: 'streamable-http', url: 'http://new.example.com/mcp' },
    local: { type: 'stdio', command: 'mcp-local' },
  };
  expect(serversOf(servers)).toEqual([
    {
      name: 'zoo',
      transport: 'stdio',
      command: 'npx',
      args: ['-y', 'zoo'],
      env: { LEVEL: 'debug' },
      cwd: '/srv',
    },
    { name: 'api', transport: 'http', url: 'https://mcp.example.com/mcp?team=a', headers: { 'X-Team': 'a' } },
    { name: 'old', transport: 'sse', url: 'http://old.example.com/sse', headers: {} },
    { name: 'new', transport: 'http', url: 'http://new.example.com/mcp', headers: {} },
    { ...stdio, name: 'local', command: 'mcp-local' },
  ]);
});

test('the form of other programs, a file, and a file by MCP_SERVERS_FILE', () => {
  const text = '{"mcpServers": {"a": {"command": "x"}}}';
  Object.assign(files, { '/etc/mcp.json': text });
  const expected = [{ ...stdio, name: 'a', command: 'x' }];
  expect(load({ MCP_SERVERS: text }).config.mcpServers).toEqual(expected);
  expect(load({ MCP_SERVERS: '/etc/mcp.json' }).config.mcpServers).toEqual(expected);
  expect(load({ MCP_SERVERS_FILE: '/etc/mcp.json' }).config.mcpServers).toEqual(expected);
});

test('values of env and headers may name variables; a process gets little of our environment and no key', () => {
  const env = {
    PATH: '/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
    OPENAI_API_KEY: 'sk-ours',
    HTTPS_PROXY: 'http://proxy:1',
    GITHUB_TOKEN: 'ghp-1',
  };
  const servers = {
    git: { command: 'git-mcp', env: { TOKEN: ref('GITHUB_TOKEN'), MIXED: `a-${ref('GITHUB_TOKEN')}-$HOME` } },
    api: { url: 'http://api/mcp', headers: { Authorization: `Bearer ${ref('GITHUB_TOKEN')}` } },
  };
  expect(serversOf(servers, env)).toEqual([
    {
      ...stdio,
      name: 'git',
      command: 'git-mcp',
      env: { PATH: '/bin', HOME: '/root', LANG: 'C.UTF-8', TOKEN: 'ghp-1', MIXED: 'a-ghp-1-$HOME' },
    },
    { name: 'api', transport: 'http', url: 'http://api/mcp', headers: { Authorization: 'Bearer ghp-1' } },
  ]);
});

test('one server by MCP_SERVER_URL', () => {
  const url = 'https://mcp.example.com';
  expect(load({ MCP_SERVER_URL: url }).config.mcpServers).toEqual([
    { name: 'mcp', transport: 'http', url, headers: {} },
  ]);
  expect(load({ MCP_SERVER_URL: url, MCP_TRANSPORT: 'SSE' }).config.mcpServers).toMatchObject([
    { transport: 'sse' },
  ]);
  expect(
    load({ MCP_SERVER_URL: 'npx -y  some-server --flag', MCP_TRANSPORT: 'stdio' }).config.mcpServers,
  ).toEqual([{ ...stdio, name: 'mcp', command: 'npx', args: ['-y', 'some-server', '--flag'] }]);
  expect(load({ MCP_TRANSPORT: 'sse' }).warnings).toEqual([
    'MCP_TRANSPORT has no effect without MCP_SERVER_URL',
  ]);
});

test('a field that is not known is a warning', () => {
  const { warnings } = load({ MCP_SERVERS: '{"a": {"url": "http://x/", "header": {}, "env": {}}}' });
  expect(warnings).toEqual([
    'MCP_SERVERS: a.header is not known for this transport and not used',
    'MCP_SERVERS: a.env is not known for this transport and not used',
  ]);
});

const needsObject =
  'MCP_SERVERS must be a JSON object of servers by name, such as {"files": {"command": "npx"}}, or the path of a file with it';
const badName =
  "MCP_SERVERS: a server's name must have 1 to 32 letters, digits, - or _, no __ and no _ at its end";
const of = (entry: unknown) => ({ a: entry });

test.each<[servers: unknown, problem: string]>([
  ['{"a": ', needsObject],
  ['/no/such/file', 'MCP_SERVERS names a file that cannot be read (ENOENT): /no/such/file'],
  [{ 'my server': { command: 'x' } }, `${badName} (it is "my server")`],
  [{ a__b: { command: 'x' } }, `${badName} (it is "a__b")`],
  [{ a_: { command: 'x' } }, `${badName} (it is "a_")`],
  [{ '': { command: 'x' } }, badName],
  [of('npx'), 'MCP_SERVERS: a must be an object with command or url'],
  [of({}), 'MCP_SERVERS: a must have either command or url'],
  [of({ command: 'x', url: 'http://x' }), 'MCP_SERVERS: a must have either command or url'],
  [of({ command: 7 }), 'MCP_SERVERS: a.command must be a text'],
  [of({ command: ' ' }), 'MCP_SERVERS: a.command must be a text'],
  [of({ command: 'x', args: '-y' }), 'MCP_SERVERS: a.args must be a list of texts'],
  [of({ command: 'x', args: [1] }), 'MCP_SERVERS: a.args must be a list of texts'],
  [of({ command: 'x', cwd: 1 }), 'MCP_SERVERS: a.cwd must be a path'],
  [of({ command: 'x', env: [] }), 'MCP_SERVERS: a.env must be an object of texts'],
  [of({ command: 'x', env: { A: 1 } }), 'MCP_SERVERS: a.env.A must be a text'],
  [
    of({ command: 'x', env: { A: ref('NOPE') } }),
    'MCP_SERVERS: a.env.A names the variable NOPE, which is not set',
  ],
  [of({ command: 'x', type: 'http' }), 'MCP_SERVERS: a.type does not fit command'],
  [of({ url: 'http://x', type: 'stdio' }), 'MCP_SERVERS: a.type does not fit url'],
  [of({ url: 'http://x', type: 'carrier-pigeon' }), 'MCP_SERVERS: a.type must be stdio, http or sse'],
  [
    of({ url: 'ftp://x' }),
    'MCP_SERVERS: a.url must be a URL that starts with http:// or https:// and holds no user name or password',
  ],
  [
    of({ url: 'https://u:p@x' }),
    'MCP_SERVERS: a.url must be a URL that starts with http:// or https:// and holds no user name or password',
  ],
  [of({ url: 'http://x', headers: { A: 1 } }), 'MCP_SERVERS: a.headers.A must be a text'],
  [of({ url: 'http://x', headers: { 'a b': 'hush' } }), 'MCP_SERVERS: a.headers.a b is not a valid header'],
  [of({ url: 'http://x', headers: { A: 'hush\nhush' } }), 'MCP_SERVERS: a.headers.A is not a valid header'],
])('%j is a start error that names the field', (servers, problem) => {
  const text = typeof servers === 'string' ? servers : JSON.stringify(servers);
  expect(problemsOf({ MCP_SERVERS: text })).toEqual([problem]);
});

test('wrong single servers are start errors, too', () => {
  expect(problemsOf({ MCP_SERVER_URL: 'localhost:3000' })).toEqual([
    'MCP_SERVER_URL must be a URL that starts with http:// or https:// and holds no user name or password',
  ]);
  expect(problemsOf({ MCP_SERVER_URL: 'http://x', MCP_TRANSPORT: 'stdio' })).toEqual([
    'MCP_SERVER_URL must be a command line when MCP_TRANSPORT is stdio',
  ]);
  expect(problemsOf({ MCP_TRANSPORT: 'pigeon' })).toEqual([
    'MCP_TRANSPORT must be one of stdio, http, sse (it is "pigeon")',
  ]);
  expect(problemsOf({ MCP_SERVER_URL: 'http://x', MCP_SERVERS: '{"mcp": {"command": "x"}}' })).toEqual([
    'MCP_SERVERS has a server mcp, which is the name of that of MCP_SERVER_URL',
  ]);
});

test('the roles that a server is for', () => {
  expect(
    serversOf({
      ops: { command: 'x', roles: ['ops', 'admin'] },
      all: { url: 'https://mcp.example.com' },
      old: { type: 'sse', url: 'https://mcp.example.com', roles: ['ops'] },
    }).map(({ name, roles }) => [name, roles]),
  ).toEqual([
    ['ops', ['ops', 'admin']],
    ['all', undefined],
    ['old', ['ops']],
  ]);
  for (const roles of [[], 'ops', ['ops', 1], ['ops', ' '], null, {}]) {
    expect(problemsOf({ MCP_SERVERS: JSON.stringify({ ops: { command: 'x', roles } }) })).toEqual([
      'MCP_SERVERS: ops.roles must be a list of at least one role',
    ]);
  }
});
