import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import type { Kernel } from '../src/index.js';
import { program } from './programs.js';

/** A program that does what it is told, step by step: test/programs/steps.c. */
export class Steps {
  readonly child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  /** `outside`: a socket for it to send descriptors through. */
  constructor(kernel: Kernel, ...outside: number[]) {
    const stdio: StdioOptions = ['pipe', 'pipe', 'inherit', ...outside];
    this.child = kernel.spawn(program('steps'), [], { stdio });
    if (!this.child.stdout) throw new Error('no stdout');
    this.#answers = createInterface(this.child.stdout)[Symbol.asyncIterator]();
    onTestFinished(() => {
      this.child.kill('SIGKILL');
    });
  }

  async do(step: string): Promise<number> {
    this.child.stdin?.write(`${step}\n`);
    const { value } = await this.#answers.next();
    const number = /^ok (\d+)$/.exec(String(value))?.[1];
    if (number === undefined) throw new Error(`${step}: ${value}`);
    return Number(number);
  }

  async die(): Promise<void> {
    this.child.stdin?.write('crash -\n');
    await once(this.child, 'close');
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.stdin?.end();
    await once(this.child, 'close');
  }
}
