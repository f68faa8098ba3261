package abi

// Flags of GraphInstantiate.
const (
	GraphInstantiateFlagAutoFreeOnLaunch uint64 = 1 // what the graph allocated and did not free is freed before the next launch
	GraphInstantiateFlagUpload           uint64 = 2 // only with cuGraphInstantiateWithParams
	GraphInstantiateFlagDeviceLaunch     uint64 = 4
	GraphInstantiateFlagUseNodePriority  uint64 = 8 // the nodes' priorities instead of the stream's
)

// GraphExecUpdateResult says why a graph could not be updated in place
// (CUgraphExecUpdateResult; CU_GRAPH_EXEC_UPDATE_ becomes GraphExecUpdate).
type GraphExecUpdateResult int32

const (
	GraphExecUpdateSuccess                        GraphExecUpdateResult = 0
	GraphExecUpdateError                          GraphExecUpdateResult = 1
	GraphExecUpdateErrorTopologyChanged           GraphExecUpdateResult = 2
	GraphExecUpdateErrorNodeTypeChanged           GraphExecUpdateResult = 3
	GraphExecUpdateErrorFunctionChanged           GraphExecUpdateResult = 4
	GraphExecUpdateErrorParametersChanged         GraphExecUpdateResult = 5
	GraphExecUpdateErrorNotSupported              GraphExecUpdateResult = 6
	GraphExecUpdateErrorUnsupportedFunctionChange GraphExecUpdateResult = 7
	GraphExecUpdateErrorAttributesChanged         GraphExecUpdateResult = 8
)

// GraphNodeType is what a node of a graph does (CUgraphNodeType).
type GraphNodeType int32

const (
	GraphNodeTypeKernel         GraphNodeType = 0
	GraphNodeTypeMemcpy         GraphNodeType = 1
	GraphNodeTypeMemset         GraphNodeType = 2
	GraphNodeTypeHost           GraphNodeType = 3
	GraphNodeTypeGraph          GraphNodeType = 4
	GraphNodeTypeEmpty          GraphNodeType = 5
	GraphNodeTypeWaitEvent      GraphNodeType = 6
	GraphNodeTypeEventRecord    GraphNodeType = 7
	GraphNodeTypeExtSemasSignal GraphNodeType = 8
	GraphNodeTypeExtSemasWait   GraphNodeType = 9
	GraphNodeTypeMemAlloc       GraphNodeType = 10
	GraphNodeTypeMemFree        GraphNodeType = 11
	GraphNodeTypeBatchMemOp     GraphNodeType = 12
	GraphNodeTypeConditional    GraphNodeType = 13
)
