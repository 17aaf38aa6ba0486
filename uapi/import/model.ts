/** What a header declares, as the definitions here can say it. */
import type { Place } from './ast.js';

/** Why something cannot be said: `kind` is what it is counted as, `detail` what it is here. */
export class Refusal extends Error {
  readonly kind: string;
  readonly detail: string;

  constructor(kind: string, detail = '') {
    super(detail ? `${kind}: ${detail}` : kind);
    this.name = 'Refusal';
    this.kind = kind;
    this.detail = detail;
  }
}

export const SCALARS = ['u8', 's8', 'u16', 's16', 'u32', 's32', 'u64', 's64', 'ptr'] as const;
export type ScalarName = (typeof SCALARS)[number];

/** A type. `remark` is what the definition does not show of the C type. */
export type Type =
  | { readonly kind: 'scalar'; readonly name: ScalarName; readonly remark?: string }
  /** A plain `char`: a string if there are several. */
  | { readonly kind: 'char' }
  | { readonly kind: 'enum'; readonly name: 'u32' | 's32'; readonly tag: string }
  | { readonly kind: 'chars'; readonly n: number }
  /** `char x[]`. */
  | { readonly kind: 'string' }
  | { readonly kind: 'array'; readonly element: Type; readonly n: number }
  | { readonly kind: 'flexible'; readonly element: Type }
  /** A struct with a name, by its key, or one that is declared in place. */
  | { readonly kind: 'record'; readonly record: Struct };

export interface Member extends Place {
  /** Empty: its fields count as those of the struct around it. */
  readonly name: string;
  readonly type: Type;
  /** `__attribute__((aligned(n)))`: bytes. */
  readonly align?: number | undefined;
  readonly doc: string | undefined;
}

export interface Struct extends Place {
  readonly kind: 'struct' | 'union';
  /** The tag, or the name of the typedef; empty if it is declared in place. */
  readonly name: string;
  /** What C calls it: `struct dma_buf_sync`, or a typedef's name. */
  readonly c: string;
  readonly endLine: number;
  readonly packed: boolean;
  /** `#pragma pack(n)`: bytes. The layout takes away what changes nothing. */
  pack: number | undefined;
  /** `__attribute__((aligned(n)))`: bytes. */
  readonly align?: number | undefined;
  readonly members: readonly Member[];
  readonly doc: string | undefined;
}

/** A constant: of a macro, or of an enum. */
export interface Constant extends Place {
  readonly name: string;
  /** A character is the string of it. */
  readonly value: bigint | string;
  /** As it is to be written, if not in decimal. */
  readonly text?: string;
  readonly doc?: string | undefined;
  /** The enum that it is of; its tag may be empty. */
  readonly of?: string;
}

export interface Ioctl extends Place {
  readonly name: string;
  readonly request: number;
  /** Undefined for `_IO`. */
  readonly arg: Type | undefined;
}

/** What is not there, and why. */
export interface LeftOut extends Place {
  readonly what: 'struct' | 'ioctl';
  readonly name: string;
  readonly why: Refusal;
}

/** A header. */
export interface Header {
  /** As it is included: `linux/udmabuf.h`. */
  readonly name: string;
  readonly path: string;
  /** Lines that have to come first for it to compile: libc's headers, if it needs them. */
  readonly before: readonly string[];
  readonly constants: readonly Constant[];
  /** Before what uses them; those of other headers, which these use, too. */
  readonly structs: readonly Struct[];
  readonly ioctls: readonly Ioctl[];
  readonly leftOut: readonly LeftOut[];
}
