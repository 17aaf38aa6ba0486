/** The dynamic part: each ioctl of each device is called, in a kernel made for it. */
import type { DeviceDefinition, DeviceOptions } from '../../../src/kit/define_device.js';
import type { Surface } from '../surface.js';
import { Bench, type Install } from './bench.js';
import { Trials } from './trials.js';

export interface TrialOptions {
  /** Values for the options of the devices. */
  deviceOptions?: (definition: DeviceDefinition) => DeviceOptions;
  /** Puts something else in the kernel than the device: for tests of what a device cannot get wrong by itself. */
  install?: Install;
}

export interface TrialSummary {
  /** ioctl(2) calls that were made. */
  calls: number;
}

export async function tryDevices(
  surface: Surface,
  { deviceOptions, install }: TrialOptions = {},
): Promise<TrialSummary> {
  const summary: TrialSummary = { calls: 0 };
  for (const definition of surface.uapi.devices) {
    const options = deviceOptions?.(definition) ?? {};
    for (const one of surface.ioctls) {
      if (one.device !== definition) continue;
      let bench: Bench | undefined;
      try {
        bench = new Bench(definition, options, install);
        await new Trials(surface, bench, one).run(
          definition.ioctls ?? {},
          definition.extensible ?? false,
        );
      } catch (error) {
        const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
        const problem = `could not be tried: ${text}`;
        const remedy = 'see that `probe`, `open` and the example succeed in a new kernel';
        surface.report(
          'device-failed',
          one,
          `${definition.name}, ${one.def.name}`,
          problem,
          remedy,
        );
      } finally {
        summary.calls += bench?.calls ?? 0;
        bench?.close();
      }
    }
  }
  return summary;
}
