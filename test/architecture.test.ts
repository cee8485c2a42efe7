import { readdirSync, readFileSync } from 'node:fs';
import { dirname, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../src/', import.meta.url));
const mostFileLines = 400;
const mostFunctionLines = 80;

/** Where each part's imports may lead. `types` may be imported as types only, which leaves nothing at run time. */
const arrows: Record<string, { to: string[]; types?: string[] }> = {
  core: { to: [] },
  llm: { to: ['outgoing', 'core'] },
  tools: { to: ['files', 'outgoing', 'core'], types: ['llm'] },
  outgoing: { to: ['core'] },
  files: { to: ['outgoing', 'llm', 'core'] },
  agent: { to: ['llm', 'tools', 'core'] },
  pipeline: { to: ['agent', 'files', 'llm', 'tools', 'core'] },
  runs: { to: ['core'] },
  sessions: { to: ['redis', 'core'] },
  redis: { to: ['core'] },
  limits: { to: ['redis', 'core'], types: ['llm', 'auth'] },
  auth: { to: ['core'] },
  observability: { to: ['core'], types: ['runs', 'sessions', 'llm', 'tools'] },
  config: { to: ['llm', 'sessions', 'auth', 'core'], types: ['tools', 'workers'] },
  http: {
    to: ['runs', 'sessions', 'pipeline', 'tools', 'files', 'auth', 'limits', 'observability', 'core'],
    types: ['llm', 'workers', 'services', 'app'],
  },
  app: { to: ['http'], types: ['services'] },
  services: {
    to: [
      'llm',
      'tools',
      'workers',
      'files',
      'outgoing',
      'pipeline',
      'runs',
      'sessions',
      'auth',
      'limits',
      'redis',
      'observability',
      'core',
    ],
    types: ['config'],
  },
  workers: { to: ['tools', 'core'] },
  worker: { to: ['workers'] },
  process: { to: ['config', 'observability', 'core'] },
  'worker-main': { to: ['worker', 'process', 'config', 'observability'] },
  main: { to: ['app', 'services', 'process', 'config', 'observability'] },
  library: {
    to: ['agent', 'llm', 'tools', 'services', 'app', 'http', 'config', 'core'],
    types: ['runs', 'sessions'],
  },
  index: { to: ['library', 'tools', 'sessions', 'core'], types: ['llm'] },
  browser: { to: ['library', 'tools', 'core'], types: ['llm'] },
};

/** Packages that only some files may load; all others may use their types at most. */
const owners: [packageName: RegExp, files: RegExp][] = [
  [/^(fastify|@fastify\/.*|fastify-plugin)$/, /^(main\.ts|app\.ts|http\/)/],
  [/^openai(\/|$)/, /^llm\/openai/],
  [/^@anthropic-ai\//, /^llm\/anthropic/],
  [/^@(aws-sdk|aws-crypto|smithy)\//, /^llm\/bedrock/],
  [/^undici$/, /^outgoing\//],
  [/^eventsource-parser/, /^llm\//],
  [/^gpt-tokenizer/, /^llm\/tokens\.ts$/],
  [/^eld(\/|$)/, /^pipeline\/text\.ts$/],
  [/^ioredis$/, /^redis\/connection\.ts$/],
  [/^jose$/, /^auth\/jwks\.ts$/],
  [/^ipaddr\.js$/, /^outgoing\/address\.ts$/],
  [/^yaml$/, /^(llm\/catalog|files\/read-yaml)\.ts$/],
  [/^csv-parse$/, /^(files\/read-csv|worker\/tasks\/table)\.ts$/],
  [/^(@grpc\/.*|grpc-health-check)$/, /^workers?\//],
  [/^html-to-text$/, /^files\/html-to-lines\.ts$/],
  [/^(mammoth|read-excel-file)(\/|$)/, /^files\/read-office\.ts$/],
  [/^unpdf$/, /^files\/read-pdf\.ts$/],
  [/^yauzl$/, /^files\/check-zip\.ts$/],
  [/^@modelcontextprotocol\//, /^tools\/mcp\//],
  [/^node:sqlite$/, /^observability\/event-log-sqlite\.ts$/],
  [/^prom-client$/, /^observability\/metrics\.ts$/],
  [/^@opentelemetry\//, /^observability\/tracing\//],
  [/^pino(-pretty)?$/, /^observability\/logger\.ts$/],
];

type Import = { specifier: string; isType: boolean };
type SourceFile = { name: string; text: string; tree: ts.SourceFile; imports: Import[] };

const allNames = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.ts'));
/** What is generated from the protocol with the workers is not ours to write. */
const files = allNames.filter((name) => !name.startsWith('workers/generated/')).map(readSource);

function readSource(name: string): SourceFile {
  const text = readFileSync(root + name, 'utf8');
  const tree = ts.createSourceFile(name, text, ts.ScriptTarget.ESNext, true);
  return { name, text, tree, imports: importsOf(tree) };
}

function nodesOf(tree: ts.Node): ts.Node[] {
  const nodes: ts.Node[] = [tree];
  const add = (node: ts.Node): void => {
    nodes.push(node);
    ts.forEachChild(node, add);
  };
  ts.forEachChild(tree, add);
  return nodes;
}

function importsOf(tree: ts.SourceFile): Import[] {
  return nodesOf(tree).flatMap((node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      const { moduleSpecifier: module } = node;
      if (!module || !ts.isStringLiteral(module)) return [];
      return [{ specifier: module.text, isType: isTypeOnly(node) }];
    }
    if (ts.isImportTypeNode(node)) return [{ specifier: textOf(node.argument), isType: true }];
    const isDynamic = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword;
    return isDynamic ? [{ specifier: textOf(node.arguments[0]), isType: false }] : [];
  });
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  const { importClause: clause } = node;
  if (!clause || clause.isTypeOnly) return clause?.isTypeOnly ?? false;
  const { namedBindings: bindings } = clause;
  if (clause.name || !bindings || !ts.isNamedImports(bindings)) return false;
  return bindings.elements.every((element) => element.isTypeOnly);
}

function textOf(node: ts.Node | undefined): string {
  return node?.getText().replace(/^['"]|['"]$/g, '') ?? '';
}

/** `http/routes/chat.ts` is part of `http`, `config.ts` and `config/kinds.ts` of `config`. */
const partOf = (name: string) => (name.split('/')[0] ?? '').replace(/\.ts$/, '');

const resolve = (from: string, specifier: string) =>
  posix.join(dirname(from), specifier).replace(/\.js$/, '.ts');

const local = (file: SourceFile) => file.imports.filter(({ specifier }) => specifier.startsWith('.'));
const foreign = (file: SourceFile) => file.imports.filter(({ specifier }) => !specifier.startsWith('.'));

describe('imports', () => {
  test('lead from part to part in the direction of the design only', () => {
    const wrong = files.flatMap((file) => {
      const from = partOf(file.name);
      const { to, types = [] } = arrows[from] ?? { to: [] };
      return local(file).flatMap(({ specifier, isType }) => {
        const target = resolve(file.name, specifier);
        const allowed = [from, ...to, ...(isType ? types : [])];
        return allowed.includes(partOf(target)) ? [] : [`${file.name} imports ${target}`];
      });
    });
    expect(wrong).toEqual([]);
  });

  test('of every part are known here', () => {
    expect([...new Set(files.map((file) => partOf(file.name)))].toSorted()).toEqual(
      Object.keys(arrows).toSorted(),
    );
  });

  test('lead to files that exist', () => {
    const names = new Set(allNames);
    const lost = files.flatMap((file) =>
      local(file).flatMap(({ specifier }) => {
        const target = resolve(file.name, specifier);
        return names.has(target) ? [] : [`${file.name} imports ${target}`];
      }),
    );
    expect(lost).toEqual([]);
  });

  test('of the worker process take the protocol only from what the service has of workers', () => {
    const shared = ['workers/proto.ts', 'workers/struct.ts'];
    const wrong = files.flatMap((file) => {
      if (partOf(file.name) !== 'worker') return [];
      const targets = local(file).map(({ specifier }) => resolve(file.name, specifier));
      return targets.filter((name) => /^workers\/(?!generated\/)/.test(name) && !shared.includes(name));
    });
    expect(wrong).toEqual([]);
  });

  test('make no cycle', () => {
    expect(findCycle()).toBeUndefined();
  });

  test('load a vendor package in its adapter only', () => {
    const wrong = files.flatMap((file) =>
      foreign(file).flatMap(({ specifier, isType }) => {
        const owner = owners.find(([name]) => name.test(specifier));
        return !owner || isType || owner[1].test(file.name) ? [] : [`${file.name} loads ${specifier}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('take fastify, even as a type, in main, app and http only', () => {
    const users = files.filter((file) => foreign(file).some(({ specifier }) => /fastify/.test(specifier)));
    expect(users.map((file) => file.name).filter((name) => !/^(main|app)\.ts$|^http\//.test(name))).toEqual(
      [],
    );
  });
});

/** The files of one cycle of imports that remain at run time; undefined when there is none. */
function findCycle(): string[] | undefined {
  const targets = new Map(
    files.map((file) => [
      file.name,
      local(file)
        .filter(({ isType }) => !isType)
        .map(({ specifier }) => resolve(file.name, specifier)),
    ]),
  );
  const done = new Set<string>();
  const follow = (name: string, path: string[]): string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const target of targets.get(name) ?? []) {
      const cycle = follow(target, [...path, name]);
      if (cycle) return cycle;
    }
    done.add(name);
    return undefined;
  };
  for (const name of targets.keys()) {
    const cycle = follow(name, []);
    if (cycle) return cycle;
  }
  return undefined;
}

describe('the source', () => {
  test('reads the environment in config.ts only', () => {
    const readers = files.filter((file) =>
      nodesOf(file.tree).some(
        (node) => ts.isPropertyAccessExpression(node) && node.getText() === 'process.env',
      ),
    );
    expect(readers.map((file) => file.name)).toEqual(['config.ts']);
  });

  test('has no any', () => {
    const found = files.flatMap((file) =>
      nodesOf(file.tree)
        .filter((node) => node.kind === ts.SyntaxKind.AnyKeyword)
        .map((node) => place(file, node)),
    );
    expect(found).toEqual([]);
  });

  test('lets requests out in src/outgoing only', () => {
    const others = files.filter(({ name }) => partOf(name) !== 'outgoing');
    const callers = others.filter((file) => callsGlobalFetch(file) || opensConnections(file));
    // runs in browsers, which have nothing else
    expect(callers.map((file) => file.name)).toEqual(['library/stream-proxy.ts']);
  });

  test('silences no checker', () => {
    const silenced = files.filter((file) => /@ts-(ignore|expect-error|nocheck)|biome-ignore/.test(file.text));
    expect(silenced.map((file) => file.name)).toEqual([]);
  });

  test('exports by name only', () => {
    const found = files.filter((file) => file.tree.statements.some(isDefaultExport));
    expect(found.map((file) => file.name)).toEqual([]);
  });

  test(`has no file of more than ${mostFileLines} lines`, () => {
    const long = files.map((file) => ({ name: file.name, lines: file.text.trimEnd().split('\n').length }));
    expect(long.filter(({ lines }) => lines > mostFileLines)).toEqual([]);
  });

  test(`has no function of more than ${mostFunctionLines} lines, those inside it not counted`, () => {
    const long = files.flatMap((file) =>
      nodesOf(file.tree)
        .filter((node) => isFunction(node) && ownLines(node) > mostFunctionLines)
        .map((node) => `${place(file, node)} has ${ownLines(node)} lines`),
    );
    expect(long).toEqual([]);
  });
});

/** Whether a file calls a `fetch` that nobody gave it. */
function callsGlobalFetch(file: SourceFile): boolean {
  const nodes = nodesOf(file.tree);
  const isGiven = nodes.some((node) => hasName(node) && node.name?.getText() === 'fetch');
  return nodes.some((node) => {
    if (ts.isNewExpression(node)) return /^(WebSocket|EventSource)$/.test(node.expression.getText());
    if (!ts.isCallExpression(node)) return false;
    const called = node.expression.getText();
    return called === 'globalThis.fetch' || (called === 'fetch' && !isGiven);
  });
}

const hasName = (node: ts.Node): node is ts.NamedDeclaration =>
  ts.isParameter(node) || ts.isVariableDeclaration(node) || ts.isBindingElement(node);

/** What these modules have that connects to nobody. */
const harmless = new Set(['STATUS_CODES', 'isIP', 'createSecureContext', 'rootCertificates']);

function opensConnections({ tree }: SourceFile): boolean {
  return nodesOf(tree).some((node) => {
    if (!ts.isImportDeclaration(node) || isTypeOnly(node)) return false;
    if (!/^(node:)?(https?|http2|net|tls|dgram)$/.test(textOf(node.moduleSpecifier))) return false;
    const bindings = node.importClause?.namedBindings;
    if (node.importClause?.name || !bindings || !ts.isNamedImports(bindings)) return true;
    return bindings.elements.some(({ isTypeOnly, name }) => !isTypeOnly && !harmless.has(name.text));
  });
}

function isDefaultExport(statement: ts.Statement): boolean {
  if (ts.isExportAssignment(statement)) return true;
  const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
  return modifiers.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword);
}

const isFunction = (node: ts.Node) => ts.isFunctionLike(node) && 'body' in node && node.body !== undefined;

/** The lines of a function without those that belong wholly to functions inside it. */
function ownLines(node: ts.Node): number {
  let lines = linesOf(node);
  const leaveOut = (child: ts.Node): void => {
    if (isFunction(child)) lines -= linesOf(child) - 1;
    else ts.forEachChild(child, leaveOut);
  };
  ts.forEachChild(node, leaveOut);
  return lines;
}

function linesOf(node: ts.Node): number {
  const tree = node.getSourceFile();
  const lineAt = (position: number) => tree.getLineAndCharacterOfPosition(position).line;
  return lineAt(node.end) - lineAt(node.getStart(tree)) + 1;
}

function place(file: SourceFile, node: ts.Node): string {
  return `${file.name}:${file.tree.getLineAndCharacterOfPosition(node.getStart(file.tree)).line + 1}`;
}
