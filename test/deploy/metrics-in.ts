export type Named = { name: string; labels: string[] };

const keywords = new Set(
  'and or unless by without on ignoring group_left group_right offset bool inf nan'.split(' '),
);

/** The metrics that an expression names, with the labels that it selects or groups by. */
export function metricsOfExpression(expression: string): Named[] {
  const bare = expression.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""').replaceAll(/\[[^\]]*\]/g, '');
  const grouping = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;
  const withoutGroups = bare.replaceAll(grouping, '');
  const found = [...withoutGroups.matchAll(/(?<![\w:.])([a-z_:][\w:]*)\s*(\(|\{([^}]*)\})?/gi)];
  return found.flatMap(([, name = '', next, matchers = '']) => {
    if (next === '(' || keywords.has(name.toLowerCase())) return [];
    return [{ name, labels: [...matchers.matchAll(/(\w+)\s*(?:=|!)/g)].map(([, label = '']) => label) }];
  });
}

/** Each name that a scrape brings, with the labels of its series. */
export function metricsOfExposition(text: string): Map<string, Set<string>> {
  const metrics = new Map<string, Set<string>>();
  for (const [, family = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const suffixes =
      type === 'histogram'
        ? ['_bucket', '_sum', '_count']
        : type === 'summary'
          ? ['', '_sum', '_count']
          : [''];
    for (const suffix of suffixes) metrics.set(family + suffix, new Set());
  }
  for (const [, name = '', labels = ''] of text.matchAll(/^([a-zA-Z_:][\w:]*)\{(.*)\} \S+$/gm))
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) metrics.get(name)?.add(label);
  return metrics;
}
