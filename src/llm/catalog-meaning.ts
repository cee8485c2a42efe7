import type { CatalogData, CatalogOverlay, Path, Problem } from './catalog-schema.js';

/**
 * What a schema cannot say: names that must be unique or exist, and patterns. `given` is what a text says, `whole` the
 * catalogue that it makes.
 */
export function meaningProblems(given: CatalogOverlay, whole: CatalogData): Problem[] {
  const providers = Object.keys(given.providers ?? {});
  const problems = providers.flatMap((name) => nameProblems(name, given, whole));
  const last = whole.unlisted.at(-1);
  if (last?.match === '' && !last.provider) return problems;
  const path = ['unlisted', whole.unlisted.length - 1, 'match'];
  return [...problems, { path, message: "the last entry must fit every model: match: ''" }];
}

function nameProblems(name: string, given: CatalogOverlay, whole: CatalogData): Problem[] {
  const path = ['providers', name];
  const { models = [], default: standard, effort = {} } = given.providers?.[name] ?? {};
  const all = whole.providers[name]?.models ?? [];
  const ids = new Set(all.flatMap(namesOf));
  const chosen: [Path, string | undefined][] = [
    [[...path, 'default'], standard],
    ...Object.entries(effort).map(([level, id]): [Path, string] => [[...path, 'effort', level], id]),
  ];
  const taken = new Set(all.filter((model) => !models.some(({ id }) => id === model.id)).flatMap(namesOf));
  const problems: Problem[] = [];
  models.forEach((model, index) => {
    for (const known of namesOf(model)) {
      if (taken.has(known)) {
        problems.push({ path: [...path, 'models', index, 'id'], message: `${known} is there twice` });
      }
      taken.add(known);
    }
  });
  for (const [place, id] of chosen) {
    if (id === undefined || ids.has(id)) continue;
    problems.push({ path: place, message: `no model of ${name} has the id ${id}` });
  }
  return problems;
}

function namesOf({ id, aliases = [] }: { id: string; aliases?: string[] }): string[] {
  return [id, ...aliases];
}

export function patternProblems({ unlisted = [] }: CatalogOverlay): Problem[] {
  return unlisted.flatMap(({ match }, index) => {
    if (isPattern(match)) return [];
    return [{ path: ['unlisted', index, 'match'], message: 'is not a regular expression' }];
  });
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
