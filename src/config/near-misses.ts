import { nearestOf } from '../core/nearest.js';
import { type Setting, settings } from './settings.js';

/** Names of a wider list that are no typing errors, although this version does not read them. */
const reservedNames = `EVENT_LOG
  AUTH_MODE ALLOW_ANONYMOUS AUTH_GRACE JWT_SECRET JWT_PUBLIC_KEY JWT_JWKS_URL JWT_ISSUER JWT_AUDIENCE
  HMAC_KEYS RATE_LIMIT_RPM RATE_LIMIT_STREAMS_RPM TENANT_DAILY_TOKENS TENANT_DAILY_COST_USD METRICS_TOKEN
  CAPTURE_CONTENT`.split(/\s+/);

/** Other programs' names that look like settings. */
const foreignNames = ['FTP_PROXY', 'ftp_proxy'];

/** One line for each set variable whose name is almost a setting's; `others` are names that are used, too. */
export function nearMisses(env: NodeJS.ProcessEnv, others: readonly string[] = []): string[] {
  const known = Object.values<Setting>(settings).flatMap(namesOf);
  const reserved = [...reservedNames, ...others].flatMap((each) => [each, `${each}_FILE`]);
  const ignored = new Set([...known, ...foreignNames, ...reserved]);
  const warnings: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!value || ignored.has(name) || !isLongEnough(name)) continue;
    const nearest = nearestOf(known, name.toUpperCase());
    if (nearest !== undefined) warnings.push(`${name} is not a setting; did you mean ${nearest}?`);
  }
  return warnings;
}

/** The name that the first word of a line was probably meant to be; a word of prose is not. */
export function settingMeantBy(word: string): string | undefined {
  const known = [...Object.values<Setting>(settings).flatMap(namesOf), 'NODE_ENV'];
  if (known.includes(word)) return word;
  if (foreignNames.includes(word)) return undefined;
  const isNameLike = isLongEnough(word) && (word.includes('_') || word === word.toUpperCase());
  return isNameLike ? nearestOf(known, word.toUpperCase()) : undefined;
}

function namesOf(setting: Setting): string[] {
  const names = [setting.env];
  if (setting.alias !== undefined) names.push(setting.alias);
  if (setting.kind.isSecret) names.push(`${setting.env}_FILE`);
  return names;
}

/** Short plain words (PORTS, HOSTS, TERM) are too often somebody else's. */
function isLongEnough(name: string): boolean {
  return name.includes('_') || name.length >= 6;
}
