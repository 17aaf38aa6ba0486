/** `run --report`, `--report-json` and `--strict`: what the programs left behind, and did wrong. */
import { closeSync, writeFileSync } from 'node:fs';
import type { Kernel } from '../kernel.js';
import { processText } from '../observe/finding.js';
import { reportText } from '../observe/report.js';
import { openOutput } from './output.js';
import type { RunOptions } from './run_options.js';

export interface RunReport {
  /** Writes the report; whether it is what the exit status has to tell. */
  finish(): boolean;
}

/** The exit status of `--strict` if anything was found. */
export const FOUND = 3;

/** Begins a report on what is done from now on, if the options want one. */
export function startReport(
  kernel: Kernel,
  { report, strict, 'report-json': reportJson }: RunOptions,
  write: (text: string) => void,
): RunReport | undefined {
  if (!report && !strict && reportJson === undefined) return undefined;
  const own = kernel.report();
  // Whether it can be written is to be known before the program runs.
  const fd = reportJson === undefined ? undefined : openOutput('report', reportJson);
  return {
    finish() {
      const findings = own.findings();
      if (report || strict) {
        const running = own.running().map(processText);
        if (running.length > 0)
          write(`dmabuf-shim run: not in the report, as they run still: ${running.join(', ')}`);
        write(`dmabuf-shim run: ${reportText(findings)}`);
      }
      if (fd !== undefined) {
        try {
          writeFileSync(fd, `${JSON.stringify({ version: 1, findings }, null, 2)}\n`);
          closeSync(fd);
        } catch (error) {
          // A full disk is no reason to hide how the program has ended.
          write(`dmabuf-shim run: cannot write the report: ${(error as Error).message}`);
        }
      }
      return strict === true && findings.length > 0;
    },
  };
}
