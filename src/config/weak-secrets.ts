const minBytes = 32;
const fewestCharacters = 6;

/** Secrets that anybody can read somewhere, in lower case: of tools' pages, of tutorials, and every one that our own docs show. */
export const publishedSecrets: ReadonlySet<string> = new Set([
  'your-256-bit-secret',
  'your-384-bit-secret',
  'your-512-bit-secret',
  'a-string-secret-at-least-256-bits-long',
  'a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long',
  'secret',
  'shhhhh',
  'shhhhhared-secret',
  'supersecret',
  'keyboard cat',
  'keyboardcat',
  'changeme',
  'password',
  'default',
  'qwertyuiopasdfghjklzxcvbnm123456',
  'abcdefghijklmnopqrstuvwxyz012345',
  'abcdefghijklmnopqrstuvwxyz123456',
  'abcdefghijklmnopqrstuvwxyz1234567890',
  '0123456789abcdef0123456789abcdef',
  // RFC 7515, A.1
  'aym1sysppbydfgzld3umj1qzkobwvmkoqq-estjqlr_t-1qs0gzh75aktmn3yj0ips4hcguutwjazzr1z9caow',
]);

/** Words of samples, which no generator of secrets writes. */
const sampleWords =
  /change[-_. ]?(me|this|it)|replace[-_. ]?(me|this|with)|your[-_. ]|example|placeholder|insecure|not[-_. ]?(so[-_. ]?)?secret|super[-_. ]?secret|password|do[-_. ]?not[-_. ]?use/;

/** What is wrong with a secret, as words that follow its name; undefined: nothing that can be seen. */
export function weaknessOf(secret: string): string | undefined {
  const text = secret.toLowerCase();
  if (publishedSecrets.has(text) || sampleWords.test(text))
    return 'is a sample that anybody can read somewhere';
  if (Buffer.byteLength(secret) < minBytes) return `has less than ${minBytes} bytes`;
  if (Buffer.byteLength(unitOf(secret)) < minBytes) return 'repeats itself';
  if (new Set(secret).size < fewestCharacters) return 'is made of too few different characters';
  return undefined;
}

/** What a text repeats, the text itself when it repeats nothing. */
function unitOf(text: string): string {
  for (let length = 1; length <= text.length / 2; length += 1) {
    if (text.slice(length) === text.slice(0, -length)) return text.slice(0, length);
  }
  return text;
}
