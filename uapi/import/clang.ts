/** The C front end: clang, asked for what it makes of a header. Nothing here reads C itself. */
import { execFile } from 'node:child_process';

/** There is no compiler of that name: the message says what to install. */
export class NoCompiler extends Error {
  constructor(command: string, debianPackage: string) {
    super(`there is no ${command} here (Debian: apt install ${debianPackage})`);
    this.name = 'NoCompiler';
  }
}

/** A header that the compiler does not take: the first of its errors. */
export class CompileError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CompileError';
  }
}

export interface FrontEndOptions {
  /** The command; `clang` by default. */
  readonly cc?: string;
  /** Folders to look for included headers in, before the system's. */
  readonly include?: readonly string[];
}

/** What a compiler said; it may have given output besides errors. */
export interface Answer {
  readonly stdout: string;
  readonly stderr: string;
  readonly failed: boolean;
}

/** Runs a compiler with a source that is nowhere but here. */
export function compile(
  command: string,
  args: readonly string[],
  source: string,
  debianPackage = 'clang',
): Promise<Answer> {
  return new Promise<Answer>((resolve, reject) => {
    const child = execFile(
      command,
      [...args, '-'],
      { maxBuffer: 2 ** 30, encoding: 'utf8' },
      (error, stdout, stderr) => {
        // EACCES: of the folders in PATH there is one that may not be looked into, and it is in none of the others.
        const isMissing = error?.code === 'ENOENT' || error?.code === 'EACCES';
        if (isMissing) reject(new NoCompiler(command, debianPackage));
        else if (error && typeof error.code !== 'number') reject(error);
        else resolve({ stdout, stderr, failed: error !== null });
      },
    );
    // A compiler that ends before it has read all says why; the pipe's end is nothing new.
    child.stdin?.on('error', () => {});
    child.stdin?.end(source);
  });
}

/** The errors of a compiler, without the path of the source that it was given. */
export function errorsOf({ stderr }: Answer): string[] {
  return stderr
    .split('\n')
    .filter((line) => / (fatal )?error: /.test(line))
    .map((line) => line.replace(/^<stdin>:\d+:(\d+: )?/, '').replace(/ (fatal )?error: /, ' '));
}

/** The first error of each line of the source that was given (not of what it includes). */
export function errorLines({ stderr }: Answer): Map<number, string> {
  const lines = new Map<number, string>();
  for (const [, line, what = ''] of stderr.matchAll(
    /^<stdin>:(\d+):\d+: (?:fatal )?error: (.*)/gm,
  )) {
    if (!lines.has(Number(line))) lines.set(Number(line), what);
  }
  return lines;
}

/** The front end with its options. */
export class FrontEnd {
  readonly #command: string;
  readonly #flags: readonly string[];

  constructor({ cc = 'clang', include = [] }: FrontEndOptions = {}) {
    this.#command = cc;
    this.#flags = ['-x', 'c', '-std=gnu11', '-w', ...include.flatMap((folder) => ['-I', folder])];
  }

  /** `clang` and the machine that it compiles for. @throws NoCompiler */
  target(): Promise<string> {
    return compile(this.#command, ['-dumpmachine', '-x', 'c'], '').then(({ stdout }) =>
      stdout.trim(),
    );
  }

  /** The preprocessed source. With `-dD`, its macros' definitions stand where they were. */
  preprocess(source: string, ...flags: string[]): Promise<Answer> {
    return compile(this.#command, [...this.#flags, '-E', ...flags], source);
  }

  /** The abstract syntax tree, with its comments. */
  async tree(source: string): Promise<{ tree: unknown; answer: Answer }> {
    const flags = ['-fsyntax-only', '-fparse-all-comments', '-Xclang', '-ast-dump=json'];
    const answer = await compile(this.#command, [...this.#flags, ...flags], source);
    return { tree: answer.stdout === '' ? undefined : JSON.parse(answer.stdout), answer };
  }

  /** The declarations whose names contain `filter`, of a source that may have errors elsewhere. */
  async declarations(
    source: string,
    filter: string,
  ): Promise<{ trees: unknown[]; answer: Answer }> {
    const flags = ['-fsyntax-only', '-ferror-limit=0', '-fno-caret-diagnostics'];
    const dump = ['-ast-dump=json', `-ast-dump-filter=${filter}`];
    const answer = await compile(
      this.#command,
      [...this.#flags, ...flags, ...dump.flatMap((flag) => ['-Xclang', flag])],
      source,
    );
    return { trees: documents(answer.stdout), answer };
  }
}

/** The JSON documents of a filtered dump: each begins with a brace of its own at the margin. */
function documents(text: string): unknown[] {
  const found: unknown[] = [];
  for (const part of text.split(/^\}$/m)) {
    const start = part.indexOf('\n{\n') < 0 && part.startsWith('{') ? 0 : part.indexOf('\n{\n');
    if (start >= 0) found.push(JSON.parse(`${part.slice(start)}}`));
  }
  return found;
}
