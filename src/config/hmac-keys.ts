import { isIdentifier } from '../auth/authenticator.js';
import { type HmacKey, keyIdForm, mostSecrets } from '../auth/hmac.js';
import { everyRole } from '../core/caller.js';
import { fileHint, type Source } from './read-settings.js';

type Fields = Record<string, unknown>;
/** Notes what is wrong with a field; returns undefined, as the value that it then has. */
type Complain = (field: string, message: string) => undefined;

const listName = 'HMAC_KEYS';
const form = '{"id": {"secret": "…", "tenant": "…", "roles": ["…"]}}';
const knownFields = ['secret', 'tenant', 'roles'];

/** The keys of HMAC_KEYS; problems name the key and the field, and show no secret. */
export function readHmacKeys({ problems }: Source, text: string): HmacKey[] {
  const entries = parseEntries(text);
  if (!entries || entries.length === 0) {
    problems.push(
      `${listName} must be a JSON object with at least one key, such as ${form}${fileHint(listName, text)}`,
    );
    return [];
  }
  const owners = new Map<string, string>();
  return entries.flatMap(([id, entry]) => {
    // what is no id may be a secret in its place
    const shownId = keyIdForm.test(id) && id.length <= 64 ? id : '…';
    const complain: Complain = (field, message) => {
      problems.push(`${listName}: ${shownId}${field && `.${field}`} ${message}`);
      return undefined;
    };
    const key = readKey(id, entry, complain);
    // a signature does not say whose it is: with the same secret it would also be the other's
    if (key?.secrets.some((secret) => (owners.get(secret) ?? id) !== id)) {
      complain('secret', 'must not be one of another key');
    }
    for (const secret of key?.secrets ?? []) owners.set(secret, id);
    return key ?? [];
  });
}

function parseEntries(text: string): [string, unknown][] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? Object.entries(value) : undefined;
  } catch {
    return undefined;
  }
}

function readKey(id: string, entry: unknown, complain: Complain): HmacKey | undefined {
  if (!keyIdForm.test(id)) return complain('', 'must have 1 to 128 letters, digits, or any of _ . : @ -');
  if (!isFields(entry)) return complain('', `must be an object with ${knownFields.join(', ')}`);
  for (const field of Object.keys(entry)) {
    if (!knownFields.includes(field)) complain(field.slice(0, 40), 'is not a known field');
  }
  const secrets = readSecrets(entry.secret, complain);
  const tenant = entry.tenant ?? 'default';
  const roles = readRoles(entry.roles, complain);
  if (!isIdentifier(tenant)) return complain('tenant', 'must be a text of 1 to 256 characters');
  return secrets && roles && { id, secrets, tenant, roles };
}

function readSecrets(secret: unknown, complain: Complain): string[] | undefined {
  const secrets: unknown[] = Array.isArray(secret) ? secret : [secret];
  const isRight = secrets.length > 0 && secrets.length <= mostSecrets && secrets.every(isSecret);
  if (isRight) return secrets;
  return complain(
    'secret',
    `must be one line of plain characters without spaces inside, or a list of 1 to ${mostSecrets} of them`,
  );
}

function readRoles(roles: unknown = [], complain: Complain): string[] | undefined {
  if (!Array.isArray(roles) || !roles.every(isIdentifier))
    return complain('roles', 'must be a list of texts');
  if (roles.includes(everyRole))
    return complain('roles', `must not have ${everyRole}, which stands for all roles`);
  return roles;
}

const isSecret = (value: unknown): value is string =>
  typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
