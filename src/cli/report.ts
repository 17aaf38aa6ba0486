/** `run --report`, `--report-json` and `--strict`: what the programs left behind, and did wrong. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import type { Kernel } from '../kernel.js';
import { reportText } from '../observe/report.js';
import type { RunOptions } from './run_options.js';
import { UsageError } from './usage.js';

/** The exit status of `--strict` if anything was found. */
const FOUND = 3;

export interface RunReport {
  /** Writes the report; the exit status, given the program's. */
  finish(status: number): number;
}

/** Begins a report on what is done from now on, if the options want one. */
export function startReport(
  kernel: Kernel,
  { report, reportJson, strict }: RunOptions,
  write: (text: string) => void,
): RunReport | undefined {
  if (!report && !strict && reportJson === undefined) return undefined;
  const own = kernel.report();
  // Whether it can be written is to be known before the program runs.
  const fd = reportJson === undefined ? undefined : openForWriting(reportJson);
  return {
    finish(status) {
      const findings = own.findings();
      if (report || strict) write(`dmabuf-shim run: ${reportText(findings)}`);
      if (fd !== undefined) {
        writeFileSync(fd, `${JSON.stringify({ version: 1, findings }, null, 2)}\n`);
        closeSync(fd);
      }
      return strict && findings.length > 0 ? FOUND : status;
    },
  };
}

function openForWriting(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    throw new UsageError(`cannot write the report: ${(error as Error).message}`);
  }
}
