/** What a report finds, as data and as text. */
import type { DmaBuf } from '../drivers/dma-buf/dma-buf.js';

/**
 * Left by a process when it ends, though nothing but its end lets go of it:
 * - `descriptor-left`: a descriptor of a buffer, a sync_file, or an opened node;
 * - `mapping-left`: a mapping of a buffer;
 * - `handle-left`: a handle of an open file, such as an attachment of /dev/dma_importer.
 *
 * Left in the kernel in the end:
 * - `buffer-left`: a reference that was never put (dma_buf_put);
 * - `attachment-left`: a device that was never detached (dma_buf_detach);
 * - `dma-mapping-left`: a mapping for a device that was never undone (dma_buf_unmap_attachment);
 * - `fence-left`: a reference of a signalled fence that was never put (dma_fence_put);
 * - `fence-not-signaled`: a fence that was not signalled in time (`fenceTimeout`), or that somebody has still in the end.
 *
 * Against the rules:
 * - `fence-abandoned`: a timeline was closed while somebody waited for a fence of it (ENOENT);
 * - `start-without-end`, `end-without-start`, `direction-differs`: DMA_BUF_IOCTL_SYNC that does not come in pairs;
 * - `write-outside-bracket`: bytes of a buffer changed while nobody was between START|WRITE and END|WRITE, after
 *   a first bracket had ended; of buffers up to 256 MiB, and 512 MiB together;
 * - `stale-access`: what strict coherency finds;
 * - `dma-fault`: a device accessed what was not mapped for it;
 * - `warning`: a WARNING of the kernel log, mostly a driver that broke a rule.
 *
 * Of this run:
 * - `not-served`: a program saw something else than Linux would have shown it, as the log says: a process that does not
 *   let anybody look into it, for example.
 */
export const FINDING_KINDS = [
  'descriptor-left',
  'mapping-left',
  'handle-left',
  'buffer-left',
  'attachment-left',
  'dma-mapping-left',
  'fence-left',
  'fence-not-signaled',
  'fence-abandoned',
  'start-without-end',
  'end-without-start',
  'direction-differs',
  'write-outside-bracket',
  'stale-access',
  'dma-fault',
  'warning',
  'not-served',
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

export interface FindingProcess {
  readonly pid: number;
  readonly comm: string;
}

/** Where something was made, or went wrong. */
export interface FindingPlace {
  /** The number of the call, as `--trace` shows it; undefined where it was in no call. */
  readonly call?: number;
  /** The call as `--trace` shows it; without a call, the file and line of the driver, or `a driver`. */
  readonly text: string;
  /** Who made the call. */
  readonly process?: FindingProcess;
}

export interface FindingBuffer {
  /** Inode number, as fstat(2) gives it. */
  readonly ino: number;
  /** Bytes. */
  readonly size: number;
  readonly exporter: string;
  /** What DMA_BUF_SET_NAME gave it. */
  readonly name?: string;
}

export interface Finding {
  readonly kind: FindingKind;
  /** Whose mistake it seems to be; undefined: a driver's, or nobody knows. */
  readonly process?: FindingProcess;
  /** What it is about was made here; of an access, where it was begun, or (`write-outside-bracket`) ended. */
  readonly made?: FindingPlace;
  /** It went wrong, or was found out, here. */
  readonly seen?: FindingPlace;
  readonly buffer?: FindingBuffer;
  /** What is wrong, in a line. */
  readonly text: string;
  /** What to do, in a line. */
  readonly advice: string;
}

export function describeBuffer({ ino, size, exp_name, name }: DmaBuf): FindingBuffer {
  return { ino, size, exporter: exp_name, ...(name !== undefined && { name }) };
}

/** `dmabuf 17 (system, camera-0) of 8192 bytes` */
export function bufferText(buffer: FindingBuffer): string {
  const name = buffer.name === undefined ? '' : `, ${buffer.name}`;
  return `dmabuf ${buffer.ino} (${buffer.exporter}${name}) of ${buffer.size} bytes`;
}

export function processText({ comm, pid }: FindingProcess): string {
  return `${comm || 'a program'}[${pid}]`;
}

/** `#12 ioctl(3, …) = 0`, and by whom, if that is not the process that the finding is listed under. */
export function placeText(place: FindingPlace, listedUnder?: FindingProcess): string {
  const number = place.call === undefined ? '' : `#${place.call} `;
  const other = place.process && place.process.pid !== listedUnder?.pid;
  return `${number}${place.text}${other ? ` by ${processText(place.process)}` : ''}`;
}

/** What happened where it was `made`, if that is the beginning or the end of an access. */
const MADE: Partial<Record<FindingKind, string>> = {
  'start-without-end': 'begun',
  'direction-differs': 'begun',
  'write-outside-bracket': 'ended',
};

/** A paragraph of at most three lines. */
export function findingText({ kind, text, made, seen, process, advice }: Finding): string {
  const places = [
    made && `${MADE[kind] ?? 'made'}: ${placeText(made, process)}`,
    seen && `seen: ${placeText(seen, process)}`,
  ].filter((line) => line !== undefined);
  const lines = places.length > 1 ? [places.join('; ')] : places;
  return [`  ${text}`, ...lines.map((line) => `    ${line}`), `    ${advice}`].join('\n');
}
