/** Keeps the first half of a character back until the delta with its second half comes. */
export function createHalfJoiner(): { join(text: string): string; flush(): string } {
  let half = '';
  return {
    join(text) {
      const whole = half === '' ? text : half + text;
      if (endsInHighSurrogate(whole)) {
        half = whole.slice(-1);
        return whole.slice(0, -1).toWellFormed();
      }
      half = '';
      return whole.isWellFormed() ? whole : whole.toWellFormed();
    },
    flush() {
      const rest = half.toWellFormed();
      half = '';
      return rest;
    },
  };
}

function endsInHighSurrogate(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}
