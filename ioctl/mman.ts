/** What mmap(2) takes: `<asm-generic/mman.h>`, the same on x86-64 and arm64. */
import { choice, type FlagTable, flags } from './flags.js';

export const PROT_NONE = 0x0;
export const PROT_READ = 0x1;
export const PROT_WRITE = 0x2;
export const PROT_EXEC = 0x4;

export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_SHARED_VALIDATE = 0x03;
/** The bits that say which of the three it is. */
export const MAP_TYPE = 0x0f;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_DENYWRITE = 0x800;
export const MAP_NORESERVE = 0x4000;
export const MAP_POPULATE = 0x8000;
export const MAP_FIXED_NOREPLACE = 0x100000;

/** `prot`, for decoding. */
export const PROT_FLAGS: FlagTable = [
  ...choice(7, { PROT_NONE }),
  ...flags({ PROT_READ, PROT_WRITE, PROT_EXEC }),
];

/** `flags`, for decoding. */
export const MAP_FLAGS: FlagTable = [
  ...choice(MAP_TYPE, { MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE }),
  ...flags({ MAP_FIXED, MAP_ANONYMOUS, MAP_NORESERVE, MAP_POPULATE, MAP_FIXED_NOREPLACE }),
];
