/** Log levels of <linux/kern_levels.h>. */
export const KERN_EMERG = 0;
export const KERN_ALERT = 1;
export const KERN_CRIT = 2;
export const KERN_ERR = 3;
export const KERN_WARNING = 4;
export const KERN_NOTICE = 5;
export const KERN_INFO = 6;
export const KERN_DEBUG = 7;

export interface LogRecord {
  /** KERN_EMERG (0) to KERN_DEBUG (7). */
  level: number;
  /** Seconds since the kernel was made. */
  time: number;
  text: string;
}

/** What a line begins with that is about the shim itself, and not about what it stands for. */
export const SHIM = 'dmabuf-shim: ';

/** Whether it says that a program was not served as Linux would have. */
export function isOfShim({ level, text }: LogRecord): boolean {
  return level <= KERN_WARNING && text.startsWith(SHIM);
}

/** The lines that are kept; the oldest go first, as in Linux's ring buffer. */
const CAPACITY = 8192;

/** The kernel log: what dmesg(1) shows. */
export class KernelLog {
  readonly #start = performance.now();
  #records: LogRecord[] = [];
  /** Called with each new record (`--verbose` prints them). */
  console: ((record: LogRecord) => void) | undefined;

  printk(level: number, text: string): LogRecord {
    const record = { level, time: (performance.now() - this.#start) / 1000, text };
    this.#records.push(record);
    // Dropping half at once keeps each call cheap.
    if (this.#records.length > CAPACITY) this.#records = this.#records.slice(CAPACITY / 2);
    this.console?.(record);
    return record;
  }

  get records(): readonly LogRecord[] {
    return this.#records;
  }
}

/** A record as dmesg(1) prints it: `[    0.000123] udmabuf: …`. */
export function formatRecord(record: LogRecord): string {
  return `[${record.time.toFixed(6).padStart(12)}] ${record.text}`;
}
