/** Why a file cannot be read, in words that follow its path: `is encrypted`. */
export class FileProblem extends Error {
  constructor(problem: string, cause?: unknown) {
    super(problem, cause === undefined ? undefined : { cause });
    this.name = 'FileProblem';
  }
}
