// Package abi is the C side of the CUDA Driver API exactly: handles, result
// codes, enumerations, flags, struct layouts, the names of the exported
// functions, and the seam's interface (API). It has no logic and calls nothing.
//
// Names follow the C names by one rule: the prefix CU_ or CUDA_ goes, the words
// are joined with capitals, and common initialisms stay in capitals, so that
// CU_DEVICE_ATTRIBUTE_PCI_BUS_ID is DeviceAttributePCIBusID. Where C's prefix is
// not the type's name, the comment above the constants says what replaces it.
//
// Every exported constant and every struct is held against what a C program
// printed with the real cuda.h (testdata/abi, one file for each CUDA version);
// the package's test finds constants and types by reading this package's source,
// so that none can escape.
//
// Layouts are those of 64-bit systems, which are all that the driver supports.
// The package still builds elsewhere.
package abi
