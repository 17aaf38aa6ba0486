/**
 * `dmabuf-shim/vitest`: kernels for tests, which fail if something is left at their end, or was done wrong.
 *
 *     import { checkedKernel } from 'dmabuf-shim/vitest';
 *
 *     test('a player', async () => {
 *       const kernel = checkedKernel({ devices: ['+dma_importer'] });
 *       …
 *     });
 */
import { onTestFinished } from 'vitest';
import { Kernel, type KernelOptions } from './kernel.js';
import type { Finding, FindingKind } from './observe/finding.js';
import { reportText } from './observe/report.js';

export type { Finding, FindingKind } from './observe/finding.js';

export interface CheckOptions {
  /** Kinds of findings that are meant to be in this test. */
  ignore?: readonly FindingKind[];
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
export function checkedKernel({ ignore, ...options }: KernelOptions & CheckOptions = {}): Kernel {
  const kernel = new Kernel(options);
  return checkKernel(kernel, ignore ? { ignore } : {});
}

/** The same for a kernel that was made just now; gives it back. */
export function checkKernel(kernel: Kernel, { ignore = [] }: CheckOptions = {}): Kernel {
  const report = kernel.report();
  onTestFinished(async () => {
    try {
      await kernel.idle();
      const findings = report.findings().filter(({ kind }) => !ignore.includes(kind));
      if (findings.length > 0) throw new FindingsError(findings);
    } finally {
      kernel.close();
    }
  });
  return kernel;
}
