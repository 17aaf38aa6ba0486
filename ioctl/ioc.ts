/**
 * ioctl request numbers, as `<asm-generic/ioctl.h>` composes them:
 *
 *     bits 31..30 direction | 29..16 size of the argument | 15..8 type | 7..0 number
 *
 * Names are C's. Two things differ from C: a type is a one-character string in both directions
 * (`_IOC_TYPE(request) === DMA_HEAP_IOC_MAGIC` reads the same), and a request is always an
 * unsigned 32-bit number, so that `===` works whatever its direction bits are.
 */

export const _IOC_NRBITS = 8;
export const _IOC_TYPEBITS = 8;
export const _IOC_SIZEBITS = 14;
export const _IOC_DIRBITS = 2;

export const _IOC_NRMASK = (1 << _IOC_NRBITS) - 1;
export const _IOC_TYPEMASK = (1 << _IOC_TYPEBITS) - 1;
export const _IOC_SIZEMASK = (1 << _IOC_SIZEBITS) - 1;
export const _IOC_DIRMASK = (1 << _IOC_DIRBITS) - 1;

export const _IOC_NRSHIFT = 0;
export const _IOC_TYPESHIFT = _IOC_NRSHIFT + _IOC_NRBITS;
export const _IOC_SIZESHIFT = _IOC_TYPESHIFT + _IOC_TYPEBITS;
export const _IOC_DIRSHIFT = _IOC_SIZESHIFT + _IOC_SIZEBITS;

/** No argument is copied. */
export const _IOC_NONE = 0;
/** The program writes: the kernel copies the argument in. */
export const _IOC_WRITE = 1;
/** The program reads: the kernel copies the argument out. */
export const _IOC_READ = 2;

export const IOC_IN = (_IOC_WRITE << _IOC_DIRSHIFT) >>> 0;
export const IOC_OUT = (_IOC_READ << _IOC_DIRSHIFT) >>> 0;
export const IOC_INOUT = ((_IOC_WRITE | _IOC_READ) << _IOC_DIRSHIFT) >>> 0;
export const IOCSIZE_MASK = _IOC_SIZEMASK << _IOC_SIZESHIFT;
export const IOCSIZE_SHIFT = _IOC_SIZESHIFT;

/** Whatever has a size in bytes: a struct layout or a scalar type, where C would name a type. */
export interface Sized {
  readonly name: string;
  readonly size: number;
}

/**
 * Composes a request from its four parts; `size` is in bytes.
 * @throws RangeError if a part does not fit its bits.
 * @example _IOC(_IOC_READ, 'V', 0, 104)
 */
export function _IOC(dir: number, type: string, nr: number, size: number): number {
  const byte = type.charCodeAt(0);
  if (type.length !== 1 || byte > _IOC_TYPEMASK) {
    throw new RangeError(`ioctl type ${JSON.stringify(type)} is not one character of one byte`);
  }
  const dirBits = fits('direction', dir, _IOC_DIRMASK) << _IOC_DIRSHIFT;
  const sizeBits = fits('size', size, _IOC_SIZEMASK) << _IOC_SIZESHIFT;
  const nrBits = fits('number', nr, _IOC_NRMASK) << _IOC_NRSHIFT;
  return (dirBits | sizeBits | (byte << _IOC_TYPESHIFT) | nrBits) >>> 0;
}

function fits(what: string, value: number, max: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new RangeError(`ioctl ${what} ${value} is not an integer from 0 to ${max}`);
}

/** A request without argument. @example _IO('d', 0x1e) */
export function _IO(type: string, nr: number): number {
  return _IOC(_IOC_NONE, type, nr, 0);
}

/** A request whose argument the kernel fills. @example _IOR('V', 0, v4l2_capability) */
export function _IOR(type: string, nr: number, argument: Sized): number {
  return _IOC(_IOC_READ, type, nr, argument.size);
}

/** A request whose argument the kernel takes. @example _IOW('W', 1, u32) */
export function _IOW(type: string, nr: number, argument: Sized): number {
  return _IOC(_IOC_WRITE, type, nr, argument.size);
}

/** A request whose argument goes both ways. @example _IOWR('H', 0x0, dma_heap_allocation_data) */
export function _IOWR(type: string, nr: number, argument: Sized): number {
  return _IOC(_IOC_READ | _IOC_WRITE, type, nr, argument.size);
}

/** The direction: `_IOC_NONE`, or a union of `_IOC_READ` and `_IOC_WRITE`. */
export function _IOC_DIR(request: number): number {
  return (request >>> _IOC_DIRSHIFT) & _IOC_DIRMASK;
}

/** The type ("magic") as a one-character string. */
export function _IOC_TYPE(request: number): string {
  return String.fromCharCode((request >>> _IOC_TYPESHIFT) & _IOC_TYPEMASK);
}

/** The number within the type. */
export function _IOC_NR(request: number): number {
  return (request >>> _IOC_NRSHIFT) & _IOC_NRMASK;
}

/** The size of the argument in bytes. */
export function _IOC_SIZE(request: number): number {
  return (request >>> _IOC_SIZESHIFT) & _IOC_SIZEMASK;
}
