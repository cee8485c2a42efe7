import { InvalidValue, type Kind, secret, withHome } from './kinds.js';
import { type Setting, type SettingValues, settings } from './settings.js';

export type Source = {
  env: NodeJS.ProcessEnv;
  readFile: (path: string) => string;
  /** receives one line for each wrong setting; its value is then not to be used */
  problems: string[];
  warnings: string[];
};

/** Every setting's value: from its variable, its file, its alias or its default, in that order. */
export function readSettings(source: Source): SettingValues {
  return readSome(source, Object.keys(settings) as (keyof SettingValues)[]);
}

/** The same for some settings only. */
export function readSome<Name extends keyof SettingValues>(
  source: Source,
  names: Name[],
): Pick<SettingValues, Name> {
  const values = names.map((name) => [name, readSetting(source, settings[name])]);
  return Object.fromEntries(values) as Pick<SettingValues, Name>;
}

/** The trimmed text of a variable; empty is unset. */
export function textOfVariable(env: NodeJS.ProcessEnv, name: string): string | undefined {
  return env[name]?.trim() || undefined;
}

function readSetting(source: Source, setting: Setting): unknown {
  const given = setting.kind.isSecret ? secretText(source, setting.env) : plainText(source, setting);
  if (given !== undefined) {
    if (setting.kind === secret) warnOfPath(source, given);
    return parseGiven(source, given, setting.kind);
  }
  return setting.default === undefined ? undefined : setting.kind.parse(setting.default);
}

/** Any secret of one line may look so, but hardly one that somebody means. */
function warnOfPath({ warnings }: Source, { name, text }: Given): void {
  if (!/^~?(\/[\w.-]+){2,}$/.test(text) || name.endsWith('_FILE')) return;
  warnings.push(`${name} looks like the path of a file${fileHint(name, text)}`);
}

/** The secret of a variable that is no setting, or of the file that NAME_FILE names. */
export function readSecret(source: Source, name: string): string | undefined {
  const given = secretText(source, name);
  return given && parseGiven(source, given, secret);
}

type Given = { name: string; text: string };

function parseGiven<T>(source: Source, { name, text }: Given, kind: Kind<T>): T | undefined {
  try {
    return kind.parse(text);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    const shown = kind.isSecret ? fileHint(name, text) : shownValue(text);
    source.problems.push(`${name} must ${error.message}${shown}`);
    return undefined;
  }
}

function plainText({ env, warnings }: Source, { env: name, alias }: Setting): Given | undefined {
  const text = textOfVariable(env, name);
  const aliasText = alias === undefined ? undefined : textOfVariable(env, alias);
  // Kubernetes sets SERVICE_PORT=tcp://… for every service that is called like the alias.
  const older = aliasText?.startsWith('tcp://') ? undefined : aliasText;
  if (text !== undefined && older !== undefined && text !== older) {
    warnings.push(`${name} and ${alias} are both set; ${name} is used`);
  }
  if (text !== undefined) return { name, text };
  return older === undefined || alias === undefined ? undefined : { name: alias, text: older };
}

function secretText(source: Source, name: string): Given | undefined {
  const text = textOfVariable(source.env, name);
  const fileName = `${name}_FILE`;
  const path = textOfVariable(source.env, fileName);
  if (path === undefined) return text === undefined ? undefined : { name, text };
  if (text !== undefined) {
    source.problems.push(`${name} and ${fileName} are both set; keep one of them`);
    return undefined;
  }
  const content = textOfFile(source, fileName, path)?.trim();
  return content === undefined ? undefined : { name: fileName, text: content };
}

/** What is in the file that a setting names; undefined, and a problem, when there is nothing. */
export function textOfFile(
  { readFile, problems }: Source,
  settingName: string,
  path: string,
): string | undefined {
  const shownPath = isShowable(path) ? `: ${path}` : '';
  try {
    const content = readFile(withHome(path));
    if (content.trim() !== '') return content;
    problems.push(`${settingName} names an empty file${shownPath}`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    problems.push(`${settingName} names a file that cannot be read${code ? ` (${code})` : ''}${shownPath}`);
  }
  return undefined;
}

/** The end of a problem's line: what to do when a secret's value is the path of the file that holds it. */
export function fileHint(name: string, text: string): string {
  const isPath = /^~?\/[^\p{Cc}]*$/u.test(text) && !name.endsWith('_FILE');
  return isPath ? `; to read it from a file, set ${name}_FILE` : '';
}

/** The end of a problem's line: what the variable holds, unless that may be a secret. */
export function shownValue(text: string): string {
  return isShowable(text) ? ` (it is ${JSON.stringify(text)})` : '';
}

/** Not long, and nothing that looks like a key, a password in a URL or a query, put into the wrong variable. */
function isShowable(text: string): boolean {
  return text.length <= 120 && !/[@?]|^["']?(sk|pk|gsk|hf|xai)[-_]/i.test(text);
}
