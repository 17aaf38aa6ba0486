/**
 * Reviews the interface that a file declares by the rules of Linux's documents "ioctl based interfaces" and
 * "(How to avoid) Botching up ioctls": what can be seen of the declaration, and what its devices answer when
 * they are tried.
 */
import { InputError } from '../input_error.js';
import { loadUapi, type Uapi } from '../model.js';
import { lintCompatibility } from './compare.js';
import type { Description } from './description.js';
import { lintDirections } from './directions.js';
import { lintFields } from './fields.js';
import { lintLayout } from './layout.js';
import { lintNames } from './names.js';
import { lintNumbers } from './numbers.js';
import { type Finding, RULES, type RuleId, type Severity } from './rules.js';
import { Surface } from './surface.js';
import { lintTime } from './time.js';
import { type TrialOptions, tryDevices } from './trial/try_devices.js';

export interface LintOptions extends TrialOptions {
  /** Call the ioctls of its devices too; true by default. */
  run?: boolean;
  /** What it was before: what breaks programs of then is a finding. */
  against?: Description | undefined;
}

export interface LintResult {
  /** In the order of the source; those of the trials last. */
  findings: Finding[];
  /** Undefined if the file cannot be loaded, for what is then a finding. */
  uapi: Uapi | undefined;
  /** ioctl(2) calls that were tried. */
  calls: number;
}

/** @throws InputError for a file that cannot be loaded. */
export async function lintUapi(path: string, options: LintOptions = {}): Promise<LintResult> {
  let uapi: Uapi;
  try {
    uapi = await loadUapi(path);
  } catch (error) {
    const finding = error instanceof InputError ? refusal(path, error.message) : undefined;
    if (!finding) throw error;
    return { findings: [finding], uapi: undefined, calls: 0 };
  }
  const surface = new Surface(uapi);
  lintLayout(surface);
  lintFields(surface);
  lintTime(surface);
  lintNumbers(surface);
  lintDirections(surface);
  lintNames(surface);
  if (options.against) lintCompatibility(surface, options.against);
  const declared = inOrder(surface.findings.splice(0));
  const { calls } = options.run === false ? { calls: 0 } : await tryDevices(surface, options);
  return { findings: [...declared, ...surface.findings], uapi, calls };
}

/** What the file itself refuses when it is loaded, and a rule is about. */
function refusal(path: string, message: string): Finding | undefined {
  const [, line, text = message] = /^.*?:(\d+): (.*)$/.exec(message) ?? [];
  const place = line === undefined ? undefined : { file: path, line: Number(line) };
  const found = (rule: RuleId, problem: string, remedy: string): Finding => ({
    rule,
    place,
    subject: path,
    problem,
    remedy,
    ...RULES[rule],
  });
  const [, size] = /ioctl size (\d+) is not/.exec(text) ?? [];
  if (size !== undefined) {
    const problem = `a struct of ${size} bytes: a request number has 14 bits for the size, 16,383 at most`;
    return found('size-limit', problem, 'pass the address of what is large, as `ptr`');
  }
  const [, one, other] = /(\w+) and (\w+) have the same number/.exec(text) ?? [];
  if (one === undefined) return undefined;
  const problem = `${one} and ${other} have the same number`;
  return found('number-duplicate', problem, 'take a number that is free');
}

function inOrder(findings: Finding[]): Finding[] {
  const line = ({ place }: Finding) => place?.line ?? Number.MAX_SAFE_INTEGER;
  return findings.sort((a, b) => line(a) - line(b));
}

/** How many there are of each severity. */
export function tally(findings: readonly Finding[]): Record<Severity, number> {
  const count: Record<Severity, number> = { error: 0, warning: 0, note: 0 };
  for (const { severity } of findings) count[severity]++;
  return count;
}
