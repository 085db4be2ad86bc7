/*
 * OpenSSL, loaded when TLS is first asked for: a program that does without pays nothing for it, and
 * needs not have it. The functions keep their names; they are called through a table.
 */
#ifndef TK_IO_OPENSSL_H
#define TK_IO_OPENSSL_H

#include <openssl/err.h>
#include <openssl/ssl.h>

#define TK_OPENSSL_FUNCTIONS(X)                                                                    \
    X(BIO_ctrl)                                                                                    \
    X(BIO_free)                                                                                    \
    X(BIO_new)                                                                                     \
    X(BIO_read)                                                                                    \
    X(BIO_s_mem)                                                                                   \
    X(BIO_write)                                                                                   \
    X(ERR_clear_error)                                                                             \
    X(ERR_get_error)                                                                               \
    X(ERR_peek_last_error)                                                                         \
    X(ERR_reason_error_string)                                                                     \
    X(OpenSSL_version_num)                                                                         \
    X(SSL_CIPHER_get_name)                                                                         \
    X(SSL_CTX_check_private_key)                                                                   \
    X(SSL_CTX_ctrl)                                                                                \
    X(SSL_CTX_free)                                                                                \
    X(SSL_CTX_load_verify_file)                                                                    \
    X(SSL_CTX_new)                                                                                 \
    X(SSL_CTX_sess_set_new_cb)                                                                     \
    X(SSL_CTX_set_alpn_select_cb)                                                                  \
    X(SSL_CTX_set_default_verify_paths)                                                            \
    X(SSL_CTX_set_options)                                                                         \
    X(SSL_CTX_set_session_id_context)                                                              \
    X(SSL_CTX_set_verify)                                                                          \
    X(SSL_CTX_use_PrivateKey_file)                                                                 \
    X(SSL_CTX_use_certificate_chain_file)                                                          \
    X(SSL_SESSION_free)                                                                            \
    X(SSL_SESSION_is_resumable)                                                                    \
    X(SSL_ctrl)                                                                                    \
    X(SSL_do_handshake)                                                                            \
    X(SSL_free)                                                                                    \
    X(SSL_get0_alpn_selected)                                                                      \
    X(SSL_get0_param)                                                                              \
    X(SSL_get_current_cipher)                                                                      \
    X(SSL_get_error)                                                                               \
    X(SSL_get_ex_data)                                                                             \
    X(SSL_get_servername)                                                                          \
    X(SSL_get_verify_result)                                                                       \
    X(SSL_get_version)                                                                             \
    X(SSL_in_init)                                                                                 \
    X(SSL_new)                                                                                     \
    X(SSL_read)                                                                                    \
    X(SSL_select_next_proto)                                                                       \
    X(SSL_session_reused)                                                                          \
    X(SSL_set1_host)                                                                               \
    X(SSL_set_accept_state)                                                                        \
    X(SSL_set_alpn_protos)                                                                         \
    X(SSL_set_bio)                                                                                 \
    X(SSL_set_connect_state)                                                                       \
    X(SSL_set_ex_data)                                                                             \
    X(SSL_set_session)                                                                             \
    X(SSL_shutdown)                                                                                \
    X(SSL_write)                                                                                   \
    X(TLS_client_method)                                                                           \
    X(TLS_server_method)                                                                           \
    X(X509_VERIFY_PARAM_set1_ip_asc)                                                               \
    X(X509_verify_cert_error_string)

struct tk_openssl {
#define TK_OPENSSL_MEMBER(name) __typeof__(name) *name;
    TK_OPENSSL_FUNCTIONS(TK_OPENSSL_MEMBER)
#undef TK_OPENSSL_MEMBER
};

/* The table; NULL: there is no OpenSSL 3 here, and `reason` says what is missing. Any thread. */
const struct tk_openssl *tk_openssl(char *reason, size_t size);

#endif
