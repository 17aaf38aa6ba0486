/**
 * `dmabuf-shim/vitest`: kernels for tests, which fail if something is left at their end, or was done wrong.
 *
 *     import { checkedKernel } from 'dmabuf-shim/vitest';
 *
 *     test('a player', async () => {
 *       const kernel = checkedKernel({ devices: ['+dma_importer'] });
 *       …
 *     });
 *
 * A concurrent test has to say which one it is:
 *
 *     test.concurrent('a player', async (context) => {
 *       const kernel = checkedKernel({ context });
 */
import { onTestFinished, type RunnerTestCase, type TestContext } from 'vitest';
import type { KernelOptions } from './core.js';
import { Kernel } from './kernel.js';
import type { Finding, FindingKind } from './observe/finding.js';
import { reportText } from './observe/report.js';

export type { Finding, FindingKind } from './observe/finding.js';

export interface CheckOptions {
  /** Kinds of findings that are meant to be in this test. */
  ignore?: readonly FindingKind[];
  /** What the test was called with. Concurrent tests need it: vitest does not know otherwise which one is meant. */
  context?: Pick<TestContext, 'onTestFinished'>;
}

/** A test has left something, or something was done wrong. */
export class FindingsError extends Error {
  readonly findings: readonly Finding[];

  /** @internal */
  constructor(findings: readonly Finding[]) {
    super(reportText(findings));
    this.name = 'FindingsError';
    this.findings = findings;
    // The message says where: the stack leads to what called the check.
    this.stack = `${this.name}: ${this.message}`;
  }
}

/**
 * A kernel for the test that is running: at the test's end the programs that it started are waited for, and
 * then it is closed. The test fails if anything is found. See `Kernel.report` for what that is.
 */
export function checkedKernel({
  ignore = [],
  context,
  ...options
}: KernelOptions & CheckOptions = {}): Kernel {
  return checkKernel(new Kernel(options), { ignore, ...(context && { context }) });
}

/** The same for a kernel that was made just now; gives it back. */
export function checkKernel(kernel: Kernel, { ignore = [], context }: CheckOptions = {}): Kernel {
  const report = kernel.report();
  const atEnd = context?.onTestFinished ?? onTestFinished;
  atEnd(async (finished) => {
    try {
      if (!context && isConcurrent(finished)) {
        throw new Error('a concurrent test has to say which one it is: checkedKernel({ context })');
      }
      await kernel.idle();
      // What a test leaves that did not come to its end is no news.
      if (hasFailed(finished)) return;
      const findings = report.findings().filter(({ kind }) => !ignore.includes(kind));
      if (findings.length > 0) throw new FindingsError(findings);
    } finally {
      kernel.close();
    }
  });
  return kernel;
}

/** vitest 2 gives the result itself. */
type Finished = TestContext | RunnerTestCase['result'];

function isConcurrent(finished: Finished): boolean {
  return finished !== undefined && 'task' in finished && finished.task.concurrent === true;
}

function hasFailed(finished: Finished): boolean {
  const result = finished && 'task' in finished ? finished.task.result : finished;
  return result?.state === 'fail';
}
