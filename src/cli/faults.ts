/** `run --fault RULE` and `run --chaos SEED[:rate=R]`. */
import type { ChaosOptions } from '../fault/faults.js';
import { faultsOf } from '../fault/faults.js';
import type { Kernel } from '../kernel.js';
import { UsageError } from './usage.js';

/** `7`, `7:rate=0.05` */
function parseChaos(text: string): ChaosOptions {
  const [, seed, rate] = /^(-?\d+)(?::rate=([\d.]+))?$/.exec(text) ?? [];
  if (seed === undefined) throw new UsageError(`--chaos takes SEED[:rate=0.1], not "${text}"`);
  return { seed: Number(seed), ...(rate !== undefined && { rate: Number(rate) }) };
}

/**
 * Has a kernel inject faults; its devices are there already. Gives what there is to say in the end: a rule that hit
 * nothing has tested nothing.
 */
export function addFaults(
  kernel: Kernel,
  rules: readonly string[],
  chaos: string | undefined,
): () => string[] {
  try {
    for (const rule of rules) kernel.inject(rule);
    if (chaos !== undefined) kernel.chaos(parseChaos(chaos));
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
  return () =>
    (faultsOf(kernel)?.rules ?? [])
      .filter((rule) => rule.hits === 0)
      .map(({ parsed, calls }) => `fault "${parsed.text}" was never injected: calls: ${calls}`);
}
