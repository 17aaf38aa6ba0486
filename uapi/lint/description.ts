/** A description of an interface that can be kept, and what has changed since. */
import { _IOC_NR, _IOC_SIZE, _IOC_TYPE } from '../../ioctl/index.js';
import type { Uapi } from '../model.js';
import { isReserved, Surface } from './surface.js';

export interface FieldDescription {
  readonly name: string;
  /** As C writes it: `__u32[4]`. */
  readonly type: string;
  /** Bytes. */
  readonly offset: number;
  readonly size: number;
  /** It is there for later use. */
  readonly reserved: boolean;
}

export interface StructDescription {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly FieldDescription[];
}

export interface IoctlDescription {
  readonly name: string;
  /** `_IOC_NONE` (0), or a union of `_IOC_WRITE` (1) and `_IOC_READ` (2). */
  readonly direction: number;
  /** One byte. */
  readonly type: number;
  readonly nr: number;
  readonly size: number;
  readonly argument: string | null;
  /** Of a device that takes other sizes too. */
  readonly extensible: boolean;
}

/** What `--save` writes. */
export interface Description {
  /** 1 */
  readonly version: number;
  readonly structs: readonly StructDescription[];
  /** Numbers as text, in decimal. */
  readonly constants: Readonly<Record<string, string>>;
  readonly ioctls: readonly IoctlDescription[];
  /** The nodes, without `/dev/`. */
  readonly devices?: readonly string[];
}

export function describe(uapi: Uapi): Description {
  const surface = new Surface(uapi);
  return {
    version: 1,
    structs: surface.structs
      .filter(({ type }) => type.tag !== '')
      .map(({ type }) => ({
        name: type.name,
        size: type.size,
        fields: type.fields.map((field) => ({
          name: field.name,
          type: field.type.name,
          offset: field.offset,
          size: field.type.size,
          reserved: isReserved(field, surface.docOf(type, field)),
        })),
      })),
    constants: Object.fromEntries(
      surface.constants.map(({ name, value }) => [name, String(value)]),
    ),
    ioctls: surface.ioctls.map(({ def, device }) => ({
      name: def.name,
      direction: def.dir,
      type: _IOC_TYPE(def.request).charCodeAt(0),
      nr: _IOC_NR(def.request),
      size: _IOC_SIZE(def.request),
      argument: def.arg?.name ?? null,
      extensible: device?.extensible ?? false,
    })),
    devices: uapi.devices.map(({ name }) => name),
  };
}

/** Whether something that was read is what `--save` wrote. */
export function isDescription(value: unknown): value is Description {
  if (!(value instanceof Object)) return false;
  const { version, structs, ioctls, constants } = value as Partial<Description>;
  return (
    version === 1 && Array.isArray(structs) && Array.isArray(ioctls) && constants instanceof Object
  );
}
