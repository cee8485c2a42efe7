import type { Turn } from './read-turn.js';

export type RequestedCall = { id: string; name: string; argumentsText: string };

type Wish = { name: string; argumentsText: string };

const command = /(?<!\S)\/tool[ \t]+([\w.:-]+)[ \t]*/g;
const mostCalls = 20;

/** The calls that this turn asks for and that are possible; none once their results are there. */
export function requestedCalls(turn: Turn): RequestedCall[] {
  if (turn.outcomes.length > 0 || turn.written !== '') return [];
  const told = toldWishes(turn.message);
  const wishes = told.length > 0 ? told : recognisedWishes(turn.message);
  return wishes
    .filter(({ name }) => turn.toolNames.includes(name))
    .map((wish, index) => ({ id: `demo_call_${turn.position}_${index + 1}`, ...wish }));
}

/** The tools that the message names with `/tool` and that are not offered. */
export function missingTools(turn: Turn): string[] {
  const names = toldWishes(turn.message).map(({ name }) => name);
  return [...new Set(names)].filter((name) => !turn.toolNames.includes(name));
}

function toldWishes(message: string): Wish[] {
  const wishes: Wish[] = [];
  command.lastIndex = 0;
  for (let match = command.exec(message); match !== null; match = command.exec(message)) {
    const argumentsText = argumentsAt(message, command.lastIndex);
    wishes.push({ name: match[1] ?? '', argumentsText: argumentsText || '{}' });
    command.lastIndex += argumentsText.length;
    if (wishes.length === mostCalls) break;
  }
  return wishes;
}

/** The JSON object that starts here, as it is written; an unclosed one up to the end of its line. */
function argumentsAt(message: string, start: number): string {
  if (message[start] !== '{') return '';
  let depth = 0;
  let isString = false;
  for (let at = start; at < message.length; at++) {
    const character = message[at];
    if (isString && character === '\\') at++;
    else if (character === '"') isString = !isString;
    else if (!isString && character === '{') depth++;
    else if (!isString && character === '}' && --depth === 0) return message.slice(start, at + 1);
  }
  return message.slice(start).split('\n', 1)[0]?.trimEnd() ?? '';
}

const timeQuestion =
  /^(?:please )?(?:tell me )?what(?:'s| is)?(?: the)?(?: current)? (?:time(?: is it)?|date(?: is it)?|day is it|today's date)(?: now| today| right now)?(?: in ([\w/+ -]{2,40}))?(?: now| right now)?[?.!]?$/i;
const sumQuestion =
  /^(?:please )?(?:what(?:'s| is)|how much is|calculate|compute)\s+([^?=]{3,200}?)\s*=?\s*\?*$/i;
const arithmetic =
  /^(?:[\d\s.,+*/^%()!-]|\b(?:sqrt|abs|round|floor|ceil|min|max|sum|avg|sin|cos|tan|ln|exp|pi)\b)+$/;
const operation = /\d\s*[-+*/^%!)]|\w\(/;

function recognisedWishes(message: string): Wish[] {
  if (message.length > 300) return [];
  const sum = sumQuestion.exec(message)?.[1];
  if (sum !== undefined && arithmetic.test(sum) && operation.test(sum) && /\d/.test(sum)) {
    return [{ name: 'calculator', argumentsText: JSON.stringify({ expression: sum }) }];
  }
  const time = timeQuestion.exec(message);
  if (time === null) return [];
  if (time[1] === undefined) return [{ name: 'current_time', argumentsText: '{}' }];
  const timezone = zoneOf(time[1]);
  return timezone ? [{ name: 'current_time', argumentsText: JSON.stringify({ timezone }) }] : [];
}

/** The IANA zone that a place names: the zone itself, or the city in it. */
function zoneOf(place: string): string | undefined {
  const wanted = place.trim().replaceAll(' ', '_').toLowerCase();
  if (wanted === 'utc') return 'UTC';
  return Intl.supportedValuesOf('timeZone').find((zone) => {
    const name = zone.toLowerCase();
    return name === wanted || name.split('/').at(-1) === wanted;
  });
}
