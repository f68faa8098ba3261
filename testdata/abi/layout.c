/* Prints what the real cuda.h says of every type and macro that internal/abi
 * mirrors, and of every enumerator that the header has. generate.sh compiles it,
 * with the list of enumerators taken from the same header, for any CUDA version
 * from 12.0.
 *
 *   version V                      CUDA_VERSION
 *   type NAME SIZE ALIGN
 *   field TYPE NAME OFFSET SIZE    of a struct, or of a union
 *   macro NAME VALUE
 *   enum TYPE NAME VALUE
 */
#include <cuda.h>
#include <stddef.h>
#include <stdio.h>

#define TYPE(t) printf("type %s %zu %zu\n", #t, sizeof(t), _Alignof(t))
#define FIELD(t, f) printf("field %s %s %zu %zu\n", #t, #f, offsetof(t, f), sizeof(((t *)0)->f))
#define MACRO(m) printf("macro %s %lld\n", #m, (long long)(m))
#define ENUM(t, e) printf("enum %s %s %lld\n", #t, #e, (long long)(e))

static void handles(void) {
  TYPE(CUdevice);
  TYPE(CUcontext);
  TYPE(CUmodule);
  TYPE(CUlibrary);
  TYPE(CUfunction);
  TYPE(CUkernel);
  TYPE(CUstream);
  TYPE(CUevent);
  TYPE(CUgraph);
  TYPE(CUgraphNode);
  TYPE(CUgraphExec);
  TYPE(CUmemoryPool);
  TYPE(CUarray);
  TYPE(CUdeviceptr);
  TYPE(CUuuid);
  TYPE(size_t);
  TYPE(void *);
}

static void copies(void) {
  TYPE(CUDA_MEMCPY2D);
  FIELD(CUDA_MEMCPY2D, srcXInBytes);
  FIELD(CUDA_MEMCPY2D, srcY);
  FIELD(CUDA_MEMCPY2D, srcMemoryType);
  FIELD(CUDA_MEMCPY2D, srcHost);
  FIELD(CUDA_MEMCPY2D, srcDevice);
  FIELD(CUDA_MEMCPY2D, srcArray);
  FIELD(CUDA_MEMCPY2D, srcPitch);
  FIELD(CUDA_MEMCPY2D, dstXInBytes);
  FIELD(CUDA_MEMCPY2D, dstY);
  FIELD(CUDA_MEMCPY2D, dstMemoryType);
  FIELD(CUDA_MEMCPY2D, dstHost);
  FIELD(CUDA_MEMCPY2D, dstDevice);
  FIELD(CUDA_MEMCPY2D, dstArray);
  FIELD(CUDA_MEMCPY2D, dstPitch);
  FIELD(CUDA_MEMCPY2D, WidthInBytes);
  FIELD(CUDA_MEMCPY2D, Height);

  TYPE(CUDA_MEMCPY3D);
  FIELD(CUDA_MEMCPY3D, srcXInBytes);
  FIELD(CUDA_MEMCPY3D, srcY);
  FIELD(CUDA_MEMCPY3D, srcZ);
  FIELD(CUDA_MEMCPY3D, srcLOD);
  FIELD(CUDA_MEMCPY3D, srcMemoryType);
  FIELD(CUDA_MEMCPY3D, srcHost);
  FIELD(CUDA_MEMCPY3D, srcDevice);
  FIELD(CUDA_MEMCPY3D, srcArray);
  FIELD(CUDA_MEMCPY3D, reserved0);
  FIELD(CUDA_MEMCPY3D, srcPitch);
  FIELD(CUDA_MEMCPY3D, srcHeight);
  FIELD(CUDA_MEMCPY3D, dstXInBytes);
  FIELD(CUDA_MEMCPY3D, dstY);
  FIELD(CUDA_MEMCPY3D, dstZ);
  FIELD(CUDA_MEMCPY3D, dstLOD);
  FIELD(CUDA_MEMCPY3D, dstMemoryType);
  FIELD(CUDA_MEMCPY3D, dstHost);
  FIELD(CUDA_MEMCPY3D, dstDevice);
  FIELD(CUDA_MEMCPY3D, dstArray);
  FIELD(CUDA_MEMCPY3D, reserved1);
  FIELD(CUDA_MEMCPY3D, dstPitch);
  FIELD(CUDA_MEMCPY3D, dstHeight);
  FIELD(CUDA_MEMCPY3D, WidthInBytes);
  FIELD(CUDA_MEMCPY3D, Height);
  FIELD(CUDA_MEMCPY3D, Depth);
}

static void launches(void) {
  TYPE(CUlaunchConfig);
  FIELD(CUlaunchConfig, gridDimX);
  FIELD(CUlaunchConfig, gridDimY);
  FIELD(CUlaunchConfig, gridDimZ);
  FIELD(CUlaunchConfig, blockDimX);
  FIELD(CUlaunchConfig, blockDimY);
  FIELD(CUlaunchConfig, blockDimZ);
  FIELD(CUlaunchConfig, sharedMemBytes);
  FIELD(CUlaunchConfig, hStream);
  FIELD(CUlaunchConfig, attrs);
  FIELD(CUlaunchConfig, numAttrs);

  TYPE(CUlaunchAttribute);
  FIELD(CUlaunchAttribute, id);
  FIELD(CUlaunchAttribute, value);

  TYPE(CUlaunchAttributeValue);
  FIELD(CUlaunchAttributeValue, accessPolicyWindow);
  FIELD(CUlaunchAttributeValue, cooperative);
  FIELD(CUlaunchAttributeValue, syncPolicy);
  FIELD(CUlaunchAttributeValue, clusterDim);
  FIELD(CUlaunchAttributeValue, clusterDim.x);
  FIELD(CUlaunchAttributeValue, clusterDim.y);
  FIELD(CUlaunchAttributeValue, clusterDim.z);
  FIELD(CUlaunchAttributeValue, clusterSchedulingPolicyPreference);
  FIELD(CUlaunchAttributeValue, programmaticStreamSerializationAllowed);
  FIELD(CUlaunchAttributeValue, programmaticEvent);
  FIELD(CUlaunchAttributeValue, programmaticEvent.event);
  FIELD(CUlaunchAttributeValue, programmaticEvent.flags);
  FIELD(CUlaunchAttributeValue, programmaticEvent.triggerAtBlockStart);
  FIELD(CUlaunchAttributeValue, priority);
  FIELD(CUlaunchAttributeValue, memSyncDomainMap);
  FIELD(CUlaunchAttributeValue, memSyncDomain);
#if CUDA_VERSION >= 12030
  FIELD(CUlaunchAttributeValue, launchCompletionEvent);
  FIELD(CUlaunchAttributeValue, launchCompletionEvent.event);
  FIELD(CUlaunchAttributeValue, launchCompletionEvent.flags);
#endif
#if CUDA_VERSION >= 12050
  FIELD(CUlaunchAttributeValue, sharedMemCarveout);
#endif
#if CUDA_VERSION >= 12080
  FIELD(CUlaunchAttributeValue, preferredClusterDim);
  FIELD(CUlaunchAttributeValue, preferredClusterDim.x);
  FIELD(CUlaunchAttributeValue, preferredClusterDim.y);
  FIELD(CUlaunchAttributeValue, preferredClusterDim.z);
#endif

  TYPE(CUaccessPolicyWindow);
  FIELD(CUaccessPolicyWindow, base_ptr);
  FIELD(CUaccessPolicyWindow, num_bytes);
  FIELD(CUaccessPolicyWindow, hitRatio);
  FIELD(CUaccessPolicyWindow, hitProp);
  FIELD(CUaccessPolicyWindow, missProp);

  TYPE(CUlaunchMemSyncDomainMap);
  FIELD(CUlaunchMemSyncDomainMap, default_);
  FIELD(CUlaunchMemSyncDomainMap, remote);
}

static void pools(void) {
  TYPE(CUmemLocation);
  FIELD(CUmemLocation, type);
  FIELD(CUmemLocation, id);

  TYPE(CUmemPoolProps);
  FIELD(CUmemPoolProps, allocType);
  FIELD(CUmemPoolProps, handleTypes);
  FIELD(CUmemPoolProps, location);
  FIELD(CUmemPoolProps, win32SecurityAttributes);
#if CUDA_VERSION >= 12020
  FIELD(CUmemPoolProps, maxSize);
#endif
#if CUDA_VERSION >= 12060
  FIELD(CUmemPoolProps, usage);
#endif
}

static void graphs(void) {
  TYPE(CUDA_KERNEL_NODE_PARAMS);
  FIELD(CUDA_KERNEL_NODE_PARAMS, func);
  FIELD(CUDA_KERNEL_NODE_PARAMS, gridDimX);
  FIELD(CUDA_KERNEL_NODE_PARAMS, gridDimY);
  FIELD(CUDA_KERNEL_NODE_PARAMS, gridDimZ);
  FIELD(CUDA_KERNEL_NODE_PARAMS, blockDimX);
  FIELD(CUDA_KERNEL_NODE_PARAMS, blockDimY);
  FIELD(CUDA_KERNEL_NODE_PARAMS, blockDimZ);
  FIELD(CUDA_KERNEL_NODE_PARAMS, sharedMemBytes);
  FIELD(CUDA_KERNEL_NODE_PARAMS, kernelParams);
  FIELD(CUDA_KERNEL_NODE_PARAMS, extra);
  FIELD(CUDA_KERNEL_NODE_PARAMS, kern);
  FIELD(CUDA_KERNEL_NODE_PARAMS, ctx);

  TYPE(CUDA_MEMSET_NODE_PARAMS);
  FIELD(CUDA_MEMSET_NODE_PARAMS, dst);
  FIELD(CUDA_MEMSET_NODE_PARAMS, pitch);
  FIELD(CUDA_MEMSET_NODE_PARAMS, value);
  FIELD(CUDA_MEMSET_NODE_PARAMS, elementSize);
  FIELD(CUDA_MEMSET_NODE_PARAMS, width);
  FIELD(CUDA_MEMSET_NODE_PARAMS, height);

  TYPE(CUgraphExecUpdateResultInfo);
  FIELD(CUgraphExecUpdateResultInfo, result);
  FIELD(CUgraphExecUpdateResultInfo, errorNode);
  FIELD(CUgraphExecUpdateResultInfo, errorFromNode);
}

static void tensor_maps(void) {
  TYPE(CUtensorMap);
  FIELD(CUtensorMap, opaque);
}

static void macros(void) {
  MACRO(CU_STREAM_LEGACY);
  MACRO(CU_STREAM_PER_THREAD);
  MACRO(CU_MEMHOSTALLOC_PORTABLE);
  MACRO(CU_MEMHOSTALLOC_DEVICEMAP);
  MACRO(CU_MEMHOSTALLOC_WRITECOMBINED);
  MACRO(CU_TENSOR_MAP_NUM_QWORDS);
#ifdef CU_MEM_POOL_CREATE_USAGE_HW_DECOMPRESS
  MACRO(CU_MEM_POOL_CREATE_USAGE_HW_DECOMPRESS);
#endif
}

static void enums(void) {
#include "enumerators.h" /* one TYPE(t); an enumeration, one ENUM(t, e); an enumerator */
}

int main(void) {
  printf("version %d\n", CUDA_VERSION);
  handles();
  copies();
  launches();
  pools();
  graphs();
  tensor_maps();
  macros();
  enums();
  return 0;
}
