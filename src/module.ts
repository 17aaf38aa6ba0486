/** Drivers as loadable modules, with Linux's rules of who may use what. Linux: kernel/module/main.c. */

import type { KernelCore } from './core.js';
import { type ErrnoName, errno } from './errno.js';
import { KERN_ERR, KERN_WARNING } from './printk.js';
import { type ExportedSymbol, type KernelSymbols, SYMBOLS, type SymbolName } from './symbols.js';

export interface KernelModule<Name extends SymbolName = SymbolName> {
  readonly name: string;
  /** MODULE_LICENSE(): "GPL", "Dual MIT/GPL", "Proprietary" … */
  readonly license: string;
  /** MODULE_IMPORT_NS(): the symbol namespaces that it imports. */
  readonly import_ns?: readonly string[];
  /** The symbols that it uses, by Linux's names. */
  readonly imports: readonly Name[];
  /** module_init(): throws to refuse. `symbols` has what `imports` names. */
  init(symbols: Pick<KernelSymbols, Name>, kernel: KernelCore): void;
  /** module_exit(): without it, the module stays. */
  exit?(): void;
}

/** The module that it is given, with `symbols` of `init` typed by `imports`. */
export function defineModule<const Name extends SymbolName>(
  module: KernelModule<Name>,
): KernelModule<Name> {
  return module;
}

/** license_is_gpl_compatible() */
const GPL_COMPATIBLE: ReadonlySet<string> = new Set([
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
]);

/** The modules of a kernel. */
export class Modules {
  readonly #kernel: KernelCore;
  readonly #loaded = new Map<string, KernelModule>();
  /** TAINT_PROPRIETARY_MODULE: said once. */
  #tainted = false;

  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
  }

  /** @see Kernel.insmod */
  insmod(module: KernelModule): void {
    const { name, license } = module;
    if (!GPL_COMPATIBLE.has(license) && !this.#tainted) {
      this.#tainted = true;
      this.#kernel.printk(KERN_WARNING, `${name}: module license '${license}' taints kernel.`);
    }
    if (this.#loaded.has(name)) throw errno('EEXIST');
    const symbols = this.#resolve(module);
    this.#loaded.set(name, module);
    try {
      module.init(symbols, this.#kernel);
    } catch (error) {
      this.#loaded.delete(name);
      throw error;
    }
  }

  /** @see Kernel.rmmod */
  rmmod(name: string): void {
    const module = this.#loaded.get(name);
    if (!module) throw errno('ENOENT');
    if (!module.exit) throw errno('EBUSY');
    module.exit();
    this.#loaded.delete(name);
  }

  /** simplify_symbols(): all that is wrong is in the log, and the last of it is the error. */
  #resolve(module: KernelModule): KernelSymbols {
    const symbols: Record<string, unknown> = {};
    let error: ErrnoName | undefined;
    for (const name of module.imports) {
      const symbol = this.#find(module, name);
      const refusal = symbol ? this.#refusal(module, name, symbol) : 'ENOENT';
      if (refusal) {
        const { errno: number } = errno(refusal);
        const text = `${module.name}: Unknown symbol ${name} (err -${number})`;
        this.#kernel.printk(KERN_WARNING, text);
        error = refusal;
      }
      symbols[name] = symbol?.value;
    }
    if (error) throw errno(error);
    return symbols as KernelSymbols;
  }

  /** find_symbol(): what this release does not have, or the module may not use, is not there. */
  #find({ license }: KernelModule, name: string): ExportedSymbol | undefined {
    const all: Readonly<Record<string, ExportedSymbol>> = SYMBOLS;
    const symbol = Object.hasOwn(all, name) ? all[name] : undefined;
    if (symbol?.since && !this.#kernel.has(symbol.since)) return undefined;
    return symbol?.gpl && !GPL_COMPATIBLE.has(license) ? undefined : symbol;
  }

  /** verify_namespace_is_imported() */
  #refusal(
    module: KernelModule,
    name: string,
    { namespace }: ExportedSymbol,
  ): 'EINVAL' | undefined {
    if (!namespace || !this.#kernel.has(namespace.since)) return undefined;
    if (module.import_ns?.includes(namespace.name)) return undefined;
    this.#kernel.printk(
      KERN_ERR,
      `${module.name}: module uses symbol (${name}) from namespace ${namespace.name}, but does not import it.`,
    );
    return 'EINVAL';
  }
}
