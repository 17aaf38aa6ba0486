/** Directions of DMA, as the device sees them: <linux/dma-direction.h>. */
export const DMA_BIDIRECTIONAL = 0;
/** The device reads. */
export const DMA_TO_DEVICE = 1;
/** The device writes. */
export const DMA_FROM_DEVICE = 2;
/** No direction: nothing can be mapped for it. */
export const DMA_NONE = 3;
export type DmaDataDirection =
  | typeof DMA_BIDIRECTIONAL
  | typeof DMA_TO_DEVICE
  | typeof DMA_FROM_DEVICE
  | typeof DMA_NONE;

const NAMES = ['DMA_BIDIRECTIONAL', 'DMA_TO_DEVICE', 'DMA_FROM_DEVICE', 'DMA_NONE'] as const;

/** A direction's name, for the log. */
export function dir2name(direction: DmaDataDirection): string {
  return NAMES[direction];
}

/** valid_dma_direction() */
export function validDmaDirection(direction: DmaDataDirection): boolean {
  return direction >= DMA_BIDIRECTIONAL && direction <= DMA_FROM_DEVICE;
}

/** Whether memory that is mapped for `direction` can be read by the device. */
export function deviceReads(direction: DmaDataDirection): boolean {
  return direction === DMA_TO_DEVICE || direction === DMA_BIDIRECTIONAL;
}

/** Whether memory that is mapped for `direction` can be written by the device. */
export function deviceWrites(direction: DmaDataDirection): boolean {
  return direction === DMA_FROM_DEVICE || direction === DMA_BIDIRECTIONAL;
}
