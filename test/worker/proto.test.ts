import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadWorkerProto } from '../../src/workers/proto.ts';
import { fromStruct, toStruct } from '../../src/workers/struct.ts';
import { useFolder } from '../helpers/folders.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The files below a folder with what is in them. */
function contentsOf(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  return Object.fromEntries(names.toSorted().map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

test('the generated types are those of the protocol; npm run worker:types writes them anew', () => {
  const folder = useFolder();
  execFileSync(join(root, 'scripts/generate-worker-types.sh'), [folder], {
    env: { ...process.env, PATH: `${process.execPath.replace(/\/[^/]+$/, '')}:${process.env.PATH}` },
  });
  expect(contentsOf(folder)).toEqual(contentsOf(join(root, 'src/workers/generated')));
});

test('the protocol is as buf wants it', () => {
  execFileSync(process.execPath, [join(root, 'node_modules/@bufbuild/buf/bin/buf'), 'lint'], { cwd: root });
  const changes = execFileSync(
    process.execPath,
    [join(root, 'node_modules/@bufbuild/buf/bin/buf'), 'format', '--diff'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  expect(changes).toBe('');
});

test('the service has the methods that clients call', () => {
  const { WorkerAgent } = loadWorkerProto();
  const methods = Object.entries(WorkerAgent.service).map(([name, { path, responseStream }]) => [
    name,
    path,
    responseStream,
  ]);
  expect(methods).toEqual([
    ['ListCapabilities', '/paf.worker.v1.WorkerAgent/ListCapabilities', false],
    ['ExecuteTask', '/paf.worker.v1.WorkerAgent/ExecuteTask', true],
    ['GetTaskStatus', '/paf.worker.v1.WorkerAgent/GetTaskStatus', false],
  ]);
});

test('JSON objects survive the wire', () => {
  const { WorkerAgent } = loadWorkerProto();
  const { requestSerialize, requestDeserialize } = WorkerAgent.service.ExecuteTask;
  const objects = fc.dictionary(
    fc.string().filter((name) => name !== '__proto__'),
    fc.jsonValue({ depthSize: 'medium' }),
  );
  fc.assert(
    fc.property(objects, (object) => {
      const request = requestDeserialize(requestSerialize({ payload: { structured: toStruct(object) } }));
      const { structured } = request.payload ?? {};
      expect(structured && fromStruct(structured)).toEqual(JSON.parse(JSON.stringify(object)));
    }),
    { examples: [[{ zero: -0, list: [-0] }]] },
  );
});
