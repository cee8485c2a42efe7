import type { McpServerConfig } from '../tools/mcp/mcp-server.js';
import { withHome } from './kinds.js';
import { type Source, textOfFile } from './read-settings.js';
import type { SettingValues } from './settings.js';

type Fields = Record<string, unknown>;
type Transport = McpServerConfig['transport'];
/** Notes what is wrong with a field; returns undefined, as the value that it then has. */
type Complain = (field: string, message: string) => undefined;

const listName = 'MCP_SERVERS';
const urlName = 'MCP_SERVER_URL';
/** The server that MCP_SERVER_URL names. */
const singleName = 'mcp';

/** What a server's process gets of our own environment: never a key. */
const inherited = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LC_ALL',
  'LC_CTYPE',
  'TZ',
  'TMPDIR',
  'TERM',
];

const fieldsOf: Record<Transport, string[]> = {
  stdio: ['type', 'command', 'args', 'env', 'cwd', 'roles'],
  http: ['type', 'url', 'headers', 'roles'],
  sse: ['type', 'url', 'headers', 'roles'],
};
const transportsByType: Record<string, Transport> = {
  stdio: 'stdio',
  http: 'http',
  'streamable-http': 'http',
  streamableHttp: 'http',
  sse: 'sse',
};

/** The servers of MCP_SERVERS and the one of MCP_SERVER_URL; problems name the variable and the field. */
export function readMcpServers(source: Source, settings: SettingValues): McpServerConfig[] {
  const listed = settings.mcpServers === undefined ? [] : readList(source, settings.mcpServers);
  const single = readSingle(source, settings);
  if (single && listed.some(({ name }) => name === single.name)) {
    source.problems.push(`${listName} has a server ${singleName}, which is the name of that of ${urlName}`);
  }
  return single ? [...listed, single] : listed;
}

function readList(source: Source, given: string): McpServerConfig[] {
  const isJson = /^[{[]/.test(given);
  const text = isJson ? given : textOfFile(source, listName, given);
  if (text === undefined) return [];
  const parsed = parseJson(text);
  // the form that other programs use
  const servers = isFields(parsed) && isFields(parsed.mcpServers) ? parsed.mcpServers : parsed;
  if (isFields(servers))
    return Object.entries(servers).flatMap(([name, entry]) => readMcpServer(source, name, entry) ?? []);
  source.problems.push(
    `${listName} must be a JSON object of servers by name, such as {"files": {"command": "npx"}}, or the path of a file with it`,
  );
  return [];
}

/** Names with __ or _ at their end would make names of tools that two servers could have. */
function isServerName(name: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,31}$/.test(name) && !name.includes('__') && !name.endsWith('_');
}

/** `place` is what problems begin with. */
export function readMcpServer(
  source: Source,
  name: string,
  entry: unknown,
  place = listName,
): McpServerConfig | undefined {
  const { problems, warnings } = source;
  if (!isServerName(name)) {
    const shown = /^[\x20-\x7e]{1,40}$/.test(name) ? ` (it is ${JSON.stringify(name)})` : '';
    problems.push(
      `${place}: a server's name must have 1 to 32 letters, digits, - or _, no __ and no _ at its end${shown}`,
    );
    return undefined;
  }
  const complain: Complain = (field, message) => {
    problems.push(`${place}: ${name}${field && `.${field}`} ${message}`);
    return undefined;
  };
  if (!isFields(entry)) return complain('', 'must be an object with command or url');
  const transport = transportOf(entry, complain);
  if (transport === undefined) return undefined;
  for (const field of Object.keys(entry)) {
    if (!fieldsOf[transport].includes(field)) {
      warnings.push(`${place}: ${name}.${field.slice(0, 40)} is not known for this transport and not used`);
    }
  }
  const before = problems.length;
  const server =
    transport === 'stdio'
      ? readStdio(source, name, entry, complain)
      : readUrl(source, name, transport, entry, complain);
  const roles = readRoles(entry, complain);
  return problems.length === before ? { ...server, ...(roles && { roles }) } : undefined;
}

/** An empty list would take the tools from everybody, which is more likely a mistake. */
function readRoles({ roles }: Fields, complain: Complain): string[] | undefined {
  if (roles === undefined) return undefined;
  const isList = Array.isArray(roles) && roles.length > 0 && roles.every(isText);
  return isList ? roles : complain('roles', 'must be a list of at least one role');
}

function transportOf({ type, command, url }: Fields, complain: Complain): Transport | undefined {
  if ((command === undefined) === (url === undefined)) return complain('', 'must have either command or url');
  const usual = command === undefined ? 'http' : 'stdio';
  if (type === undefined) return usual;
  const named = typeof type === 'string' ? transportsByType[type] : undefined;
  if (named === undefined) return complain('type', 'must be stdio, http or sse');
  if ((named === 'stdio') !== (usual === 'stdio'))
    return complain('type', `does not fit ${command === undefined ? 'url' : 'command'}`);
  return named;
}

function readStdio(source: Source, name: string, entry: Fields, complain: Complain): McpServerConfig {
  const { command, args = [], cwd } = entry;
  if (!isText(command)) complain('command', 'must be a text');
  if (!Array.isArray(args) || !args.every((each) => typeof each === 'string'))
    complain('args', 'must be a list of texts');
  if (cwd !== undefined && !isText(cwd)) complain('cwd', 'must be a path');
  const env = { ...inheritedFrom(source.env), ...readTexts(source, 'env', entry.env, complain) };
  return {
    name,
    transport: 'stdio',
    command: String(command),
    args: args as string[],
    env,
    cwd: isText(cwd) ? withHome(cwd) : undefined,
  };
}

function readUrl(
  source: Source,
  name: string,
  transport: 'http' | 'sse',
  entry: Fields,
  complain: Complain,
): McpServerConfig {
  const { url } = entry;
  if (!isText(url) || !isHttpUrl(url))
    complain('url', 'must be a URL that starts with http:// or https:// and holds no user name or password');
  const headers = readTexts(source, 'headers', entry.headers, complain);
  for (const [header, value] of Object.entries(headers)) {
    if (!isHeader(header, value)) complain(`headers.${header.slice(0, 40)}`, 'is not a valid header');
  }
  return { name, transport, url: String(url), headers };
}

/** Texts by name, `${VARIABLE}` in them replaced. */
function readTexts(
  source: Source,
  field: string,
  given: unknown,
  complain: Complain,
): Record<string, string> {
  if (given === undefined) return {};
  if (!isFields(given)) {
    complain(field, 'must be an object of texts');
    return {};
  }
  const pairs = Object.entries(given).map(([key, value]) => {
    const place = `${field}.${key.slice(0, 40)}`;
    if (typeof value !== 'string' || value.includes('\0')) complain(place, 'must be a text');
    return [key, expand(source, String(value), (message) => complain(place, message))] as const;
  });
  return Object.fromEntries(pairs);
}

function expand({ env }: Source, text: string, complain: (message: string) => void): string {
  return text.replaceAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_match, variable: string) => {
    const value = env[variable];
    if (value === undefined || value === '') complain(`names the variable ${variable}, which is not set`);
    return value ?? '';
  });
}

function readSingle(source: Source, settings: SettingValues): McpServerConfig | undefined {
  const { mcpTransport: transport = 'http', mcpServerUrl: url } = settings;
  if (url === undefined) {
    if (settings.mcpTransport !== undefined && settings.mcpServers === undefined) {
      source.warnings.push(`MCP_TRANSPORT has no effect without ${urlName}`);
    }
    return undefined;
  }
  if (transport === 'stdio') {
    const [command = '', ...args] = url.split(/\s+/);
    if (!isHttpUrl(url))
      return { name: singleName, transport, command, args, env: inheritedFrom(source.env), cwd: undefined };
    source.problems.push(`${urlName} must be a command line when MCP_TRANSPORT is stdio`);
    return undefined;
  }
  if (isHttpUrl(url)) return { name: singleName, transport, url, headers: {} };
  source.problems.push(
    `${urlName} must be a URL that starts with http:// or https:// and holds no user name or password`,
  );
  return undefined;
}

function inheritedFrom(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(inherited.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

function isHttpUrl(text: string): boolean {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  // fetch refuses a user name and a password there
  return url !== null && url.username === '' && url.password === '';
}

function isHeader(name: string, value: string): boolean {
  try {
    return new Headers([[name, value]]) !== undefined;
  } catch {
    return false;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    return undefined;
  }
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.trim() !== '' && !value.includes('\0');
