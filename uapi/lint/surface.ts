/** What a file gives to programs, gathered for the rules to look at. */
import { readFileSync } from 'node:fs';
import {
  _IOC_READ,
  _IOC_WRITE,
  type CType,
  type Field,
  type IoctlDef,
  type StructType,
} from '../../ioctl/index.js';
import type { DeviceDefinition } from '../../src/kit/define_device.js';
import type { Uapi, UapiConstant, UapiIoctl, UapiStruct } from '../model.js';
import { elementOf, isStruct } from '../types.js';
import { type Finding, RULES, type RuleId } from './rules.js';

type Item = Uapi['items'][number];

/** A struct with the ioctls that take it. */
export interface LintedStruct {
  readonly type: StructType;
  /** `struct scaler_job`, or where it is, for one without a name. */
  readonly label: string;
  /** Whether its fields are those of the struct around it: an anonymous member. */
  readonly anonymous: boolean;
  /** The export that it is, or that it is part of. */
  readonly item: Item | undefined;
  /** The ioctls whose argument it is; none: it is within another, or at the end of a pointer. */
  readonly users: IoctlDef[];
  /** The device that has these ioctls, if it is known. */
  readonly device: DeviceDefinition | undefined;
}

export interface LintedIoctl {
  readonly def: IoctlDef;
  readonly doc: string | undefined;
  readonly item: Item | undefined;
  readonly device: DeviceDefinition | undefined;
}

export interface Where {
  readonly item?: Item | undefined;
  readonly type?: StructType | undefined;
  readonly field?: string | undefined;
}

/** Which way a field goes, as its documentation says. */
export interface FieldDirection {
  readonly in: boolean;
  readonly out: boolean;
}

export class Surface {
  readonly uapi: Uapi;
  readonly findings: Finding[] = [];
  readonly ioctls: LintedIoctl[];
  readonly structs: LintedStruct[];
  readonly constants: UapiConstant[];
  readonly #lines = new Map<string, string[]>();

  constructor(uapi: Uapi) {
    this.uapi = uapi;
    this.ioctls = gatherIoctls(uapi);
    this.structs = gatherStructs(uapi, this.ioctls);
    this.constants = uapi.items.filter((item) => item.kind === 'constant');
  }

  report(rule: RuleId, where: Where, subject: string, problem: string, remedy: string): void {
    const { severity, section } = RULES[rule];
    const place = this.#place(where);
    this.findings.push({ rule, severity, place, subject, problem, remedy, section });
  }

  reportField(
    rule: RuleId,
    { type, label, item }: LintedStruct,
    field: string,
    problem: string,
    remedy: string,
  ): void {
    this.report(rule, { item, type, field }, `${label}, ${field}`, problem, remedy);
  }

  docOf(type: StructType, field: Field): string {
    return this.uapi.fieldDoc(type, field.name) ?? field.doc ?? '';
  }

  /**
   * The type of a field in C, of its elements if it is an array. What `import-header` could not say otherwise stands
   * behind it: `u64, // C: unsigned long`.
   */
  cTypeOf(type: StructType, field: Field): string {
    const place = this.uapi.fieldPlace(type, field.name);
    const line = place && this.#linesOf(place.file)[place.line - 1];
    return /\/\/ C: (.*?)\s*$/.exec(line ?? '')?.[1] ?? elementOf(field.type).name;
  }

  #linesOf(file: string): string[] {
    const known = this.#lines.get(file);
    if (known) return known;
    const lines = readFileSync(file, 'utf8').split('\n');
    this.#lines.set(file, lines);
    return lines;
  }

  /** Undefined if its documentation does not say. */
  directionOf(type: StructType, field: Field): FieldDirection | undefined {
    return directionIn(this.docOf(type, field));
  }

  /** The line of the field, or else of the item. */
  #place({ item, type, field }: Where): Finding['place'] {
    const place = type && field !== undefined && this.uapi.fieldPlace(type, field);
    return place || (item && this.uapi.place(item));
  }
}

/** Reads `in:`, `out:`, `in/out:` and `in, out:`. */
export function directionIn(doc: string): FieldDirection | undefined {
  const both = /\bin(\/|, | and )out:/i.test(doc);
  const found = { in: both || /\bin:/i.test(doc), out: both || /\bout:/i.test(doc) };
  return found.in || found.out ? found : undefined;
}

/** Whether a field is there for later use only, and 0 until then. */
export function isReserved(field: Field, doc: string): boolean {
  if (/^_*(pad|padding|reserved|rsvd|resv|mbz|unused|spare)(_?\w{0,2}\d*)$/i.test(field.name)) {
    return true;
  }
  return /\bin: (must be |always )?(0|zero)\s*($|[,;.(])/i.test(doc);
}

export const isFlags = (field: Field): boolean =>
  /(^|_)flags\d?$/.test(field.name) && elementOf(field.type).kind === 'integer';

/** Whether the argument is copied out. */
export const reads = (def: IoctlDef): boolean => ((def.copy ?? def.dir) & _IOC_READ) !== 0;
/** Whether the argument is copied in. */
export const writes = (def: IoctlDef): boolean => ((def.copy ?? def.dir) & _IOC_WRITE) !== 0;

function gatherIoctls(uapi: Uapi): LintedIoctl[] {
  const items = uapi.items.filter((item): item is UapiIoctl => item.kind === 'ioctl');
  const deviceOf = (name: string, request: number) =>
    uapi.devices.find((device) => device.ioctls?.[name]?.request === request);
  const found: LintedIoctl[] = items.map((item) => ({
    def: item.def,
    doc: item.doc ?? item.def.doc,
    item,
    device: deviceOf(item.def.name, item.def.request),
  }));
  for (const device of uapi.devices) {
    for (const def of Object.values(device.ioctls ?? {})) {
      const known = found.some(
        (one) => one.def.name === def.name && one.def.request === def.request,
      );
      if (!known) found.push({ def, doc: def.doc, item: undefined, device });
    }
  }
  return found;
}

function gatherStructs(uapi: Uapi, ioctls: readonly LintedIoctl[]): LintedStruct[] {
  const found = new Map<StructType, LintedStruct>();
  const items = uapi.items.filter((item): item is UapiStruct => item.kind === 'struct');
  const itemOf = (type: StructType) => items.find((item) => item.type === type);

  const add = (type: CType, around: Pick<LintedStruct, 'item' | 'device'>, path: string) => {
    const element = elementOf(type);
    // Those of this package are other headers'.
    if (!isStruct(element) || uapi.isForeign(element) || found.has(element)) return;
    const item = itemOf(element) ?? around.item;
    const label = element.tag === '' ? path : element.name;
    const anonymous = element.tag === '' && path.endsWith('.');
    found.set(element, { ...around, type: element, label, anonymous, item, users: [] });
    for (const { name, type: inner } of element.members) {
      add(inner, { ...around, item }, `${label}.${name}`);
    }
  };
  for (const { def, item, device } of ioctls) {
    if (!def.arg) continue;
    add(def.arg, { item, device }, def.name);
    if (isStruct(def.arg)) found.get(def.arg)?.users.push(def);
  }
  for (const item of items) add(item.type, { item, device: undefined }, item.type.name);
  for (const device of uapi.devices) {
    if (device.events) add(device.events, { item: undefined, device }, device.name);
  }
  return [...found.values()];
}
