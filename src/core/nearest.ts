/** The known name that a wrong one was probably meant to be. Short names allow one edit, longer ones two. */
export function nearestOf(known: readonly string[], name: string): string | undefined {
  let nearest: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const each of known) {
    const allowed = each.length < 8 ? 1 : 2;
    if (Math.abs(each.length - name.length) > allowed) continue;
    const distance = editDistance(each, name);
    if (distance > allowed || distance >= least) continue;
    nearest = each;
    least = distance;
  }
  return nearest;
}

/** Levenshtein's distance: insertions, deletions and replacements. */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}
