/**
 * The object that a JSON text which is still being written has so far: what is open is closed, and what cannot be read
 * yet is left out.
 */
export function parsePartialObject(text: string): Record<string, unknown> {
  const { closed, complete } = close(text);
  for (const candidate of [text, closed, complete]) {
    try {
      const value: unknown = JSON.parse(candidate);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        return value as Record<string, unknown>;
      }
    } catch {
      // the next candidate holds less
    }
  }
  return {};
}

/** The text with everything closed at its end, and with everything closed after its last complete member. */
function close(text: string): { closed: string; complete: string } {
  const open: string[] = [];
  let isString = false;
  let complete = '';
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (isString) {
      if (character === '\\') index += 1;
      else if (character === '"') isString = false;
    } else if (character === '"') isString = true;
    else if (character === '{') open.push('}');
    else if (character === '[') open.push(']');
    else if (character === '}' || character === ']') open.pop();
    if (!isString && character === ',') complete = text.slice(0, index) + ends(open);
    if (!isString && (character === '{' || character === '['))
      complete = text.slice(0, index + 1) + ends(open);
  }
  // an escape that is not whole yet
  const written = isString ? `${text.replace(/\\(u[\da-fA-F]{0,3})?$/, '')}"` : text;
  return { closed: written + ends(open), complete };
}

const ends = (open: string[]) => open.toReversed().join('');
