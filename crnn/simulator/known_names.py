"""The names of all functions that pyACL is known to have, simulated or not.

Read from the method tables of pyACL's public source (hicann/runtime, python/pyACL). A name in here
that the simulator lacks gets an error that says so; a test holds the list equal to
tests/data/pyacl_signatures.json.
"""

from __future__ import annotations

from typing import FrozenSet

_ROOT = """
    app_log create_data_buffer create_tensor_desc data_type_size destroy_data_buffer
    destroy_tensor_desc finalize finalize_reference float16_to_float float_to_float16
    get_cann_attribute get_cann_attribute_list get_cann_version get_data_buffer_addr
    get_data_buffer_size get_data_buffer_size_v2 get_device_capability get_recent_err_msg
    get_soc_name get_tensor_desc_address get_tensor_desc_by_index get_tensor_desc_dim
    get_tensor_desc_dim_range get_tensor_desc_dim_v2 get_tensor_desc_element_count
    get_tensor_desc_format get_tensor_desc_name get_tensor_desc_num_dims get_tensor_desc_size
    get_tensor_desc_type get_version get_version_str init set_tensor_const set_tensor_desc_name
    set_tensor_dynamic_input set_tensor_format set_tensor_origin_format set_tensor_origin_shape
    set_tensor_place_ment set_tensor_shape set_tensor_shape_range set_tensor_storage_format
    set_tensor_storage_shape set_tensor_value_range trans_tensor_desc_format update_data_buffer
"""
_RT = """
    allocator_create_desc allocator_destroy_desc allocator_register
    allocator_set_alloc_advise_func_to_desc allocator_set_alloc_func_to_desc
    allocator_set_free_func_to_desc allocator_set_get_addr_from_block_func_to_desc
    allocator_set_obj_to_desc allocator_unregister binary_get_function binary_load
    binary_load_from_data binary_load_from_file binary_unload cmo_async create_binary
    create_context create_event create_event_ex_with_flag create_event_with_flag
    create_group_info create_notify create_stream create_stream_with_config
    ctx_get_current_default_stream ctx_get_sys_param_opt ctx_set_sys_param_opt destroy_binary
    destroy_context destroy_event destroy_group_info destroy_notify destroy_stream
    destroy_stream_force device_can_access_peer device_disable_peer_access
    device_enable_peer_access device_get_bare_tgid device_get_stream_priority_range
    device_get_uuid device_peer_access_status device_task_abort event_elapsed_time
    event_get_timestamp free free_host free_physical get_all_group_info get_context get_device
    get_device_capability get_device_count get_device_id_from_exception_info get_device_info
    get_device_res_limit get_device_sat_mode get_device_utilization_rate get_devices_topo
    get_error_code_from_exception_info get_event_avail_num get_event_id get_function_addr
    get_function_name get_group_count get_group_info_detail get_last_error
    get_logic_dev_id_by_phy_dev_id get_logic_dev_id_by_user_dev_id get_mem_info get_mem_uce_info
    get_memcpy_desc_size get_notify_id get_op_execute_timeout get_op_timeout_interval
    get_overflow_status get_phy_dev_id_by_logic_dev_id get_primary_ctx_state
    get_res_in_current_thread get_run_mode get_stream_attribute get_stream_available_num
    get_stream_id_from_exception_info get_stream_overflow_switch get_stream_res_limit
    get_sys_param_opt get_task_id_from_exception_info get_thread_id_from_exception_info
    get_thread_last_task_id get_user_dev_id_by_logic_dev_id host_get_device_pointer
    host_register host_register_v2 host_unregister ipc_mem_close ipc_mem_get_export_key
    ipc_mem_import_by_key ipc_mem_set_import_pid kernel_args_append
    kernel_args_append_place_holder kernel_args_finalize kernel_args_get_handle_mem_size
    kernel_args_get_mem_size kernel_args_get_place_holder_buffer kernel_args_init
    kernel_args_init_by_user_mem kernel_args_para_update launch_callback launch_kernel
    launch_kernel_with_config malloc malloc_align32 malloc_cached malloc_for_task_scheduler
    malloc_host malloc_host_with_cfg malloc_physical malloc_with_cfg map_mem
    mem_export_to_shareable_handle mem_flush mem_get_allocation_granularity
    mem_import_from_shareable_handle mem_invalidate mem_set_pid_to_shareable_handle
    mem_uce_repair memcpy memcpy2d memcpy2d_async memcpy_async memcpy_async_with_condition
    memcpy_async_with_desc memset memset_async notify_batch_reset notify_get_export_key
    notify_import_by_key notify_set_import_pid peek_at_last_error pointer_get_attributes
    process_report query_device_status query_event query_event_status query_event_wait_status
    record_event record_notify reduce_async register_cpu_func release_mem_address
    reserve_mem_address reset_device reset_device_force reset_device_res_limit reset_event
    reset_overflow_status reset_stream_res_limit set_context set_device set_device_res_limit
    set_device_sat_mode set_exception_info_callback set_group set_memcpy_desc
    set_op_execute_time_out set_op_execute_timeout_v2 set_op_wait_timeout set_stream_attribute
    set_stream_failure_mode set_stream_overflow_switch set_stream_res_limit set_sys_param_opt
    set_ts_device stream_abort stream_get_id stream_query stream_wait_event subscribe_report
    synchronize_device synchronize_device_with_timeout synchronize_event
    synchronize_event_with_timeout synchronize_stream synchronize_stream_with_timeout unmap_mem
    unsubscribe_report unuse_stream_res_in_current_thread use_stream_res_in_current_thread
    value_wait value_write wait_and_reset_notify
"""
_MDL = """
    add_dataset_buffer bundle_get_model_id bundle_get_model_num bundle_load_from_file
    bundle_load_from_mem bundle_unload create_aipp create_and_get_op_desc create_config_handle
    create_dataset create_desc create_exec_config_handle destroy_aipp destroy_config_handle
    destroy_dataset destroy_desc destroy_exec_config_handle dump_reg_callback
    dump_unreg_callback execute execute_async execute_v2 finalize_dump get_aipp_data_size
    get_aipp_type get_cur_output_dims get_dataset_buffer get_dataset_num_buffers
    get_dataset_tensor_desc get_desc get_desc_from_file get_desc_from_mem get_dynamic_batch
    get_dynamic_hw get_first_aipp_info get_input_data_type get_input_dims get_input_dims_range
    get_input_dims_v2 get_input_dynamic_dims get_input_dynamic_gear_count get_input_format
    get_input_index_by_name get_input_name_by_index get_input_size_by_index get_num_inputs
    get_num_outputs get_op_attr get_output_data_type get_output_dims get_output_format
    get_output_index_by_name get_output_name_by_index get_output_size_by_index
    get_tensor_real_name init_dump load_from_file load_from_file_with_mem load_from_file_with_q
    load_from_mem load_from_mem_with_mem load_from_mem_with_q load_with_config query_size
    query_size_from_mem set_aipp_ax_swap_switch set_aipp_by_input_index set_aipp_crop_params
    set_aipp_csc_params set_aipp_dtc_pixel_mean set_aipp_dtc_pixel_min set_aipp_input_format
    set_aipp_padding_params set_aipp_pixel_var_reci set_aipp_rbuv_swap_switch
    set_aipp_scf_params set_aipp_src_image_size set_config_opt set_dataset_tensor_desc set_dump
    set_dynamic_batch_size set_dynamic_hw_size set_exec_config_opt set_input_aipp
    set_input_dynamic_dims unload
"""
_UTIL = """
    bytes_to_ptr numpy_contiguous_to_ptr numpy_to_ptr ptr_to_bytes ptr_to_numpy start_thread
    stop_thread
"""


def _full(module: str, names: str) -> FrozenSet[str]:
    return frozenset(f"{module}.{name}" for name in names.split())


KNOWN = (
    _full("acl", _ROOT) | _full("acl.rt", _RT) | _full("acl.mdl", _MDL) | _full("acl.util", _UTIL)
)
"""Full names such as ``acl.rt.malloc``."""
