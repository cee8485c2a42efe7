import type { FastifyInstance } from 'fastify';

/** Notes every route that is added from here on. The returned function tells which methods a path takes. */
export function collectMethods(app: FastifyInstance): (path: string) => string[] {
  const routes: { parts: string[]; methods: string[] }[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    if (url !== '*') routes.push({ parts: partsOf(url), methods: [method].flat() });
  });
  return (path) => {
    const parts = partsOf(path);
    const methods = routes.filter((route) => fits(route.parts, parts)).flatMap((route) => route.methods);
    return [...new Set(methods)].toSorted();
  };
}

const partsOf = (path: string) => path.replace(/\/$/, '').split('/');

function fits(pattern: string[], path: string[]): boolean {
  if (pattern.at(-1) === '*') return fits(pattern.slice(0, -1), path.slice(0, pattern.length - 1));
  return (
    pattern.length === path.length &&
    pattern.every((part, index) => (part.startsWith(':') ? path[index] !== '' : part === path[index]))
  );
}
