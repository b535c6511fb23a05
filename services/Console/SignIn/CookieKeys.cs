using System.Security.Cryptography;
using System.Xml.Linq;
using Huzhu.ServiceDefaults;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.Repositories;

namespace Huzhu.Web.SignIn;

/// <summary>
/// What encrypts the cookies: <c>Console:CookieKey</c>, the same for all replicas, so that they share nothing else. The
/// framework keeps a ring of keys in a store of its own; here it is handed one that is made from the configured key.
/// </summary>
public static class CookieKeys
{
    public const string Key = "Console:CookieKey";
    public const string Previous = "Console:PreviousCookieKey";

    public static void AddCookieKeys(this WebApplicationBuilder builder)
    {
        var protection = builder.Services.AddDataProtection().SetApplicationName("huzhu-console").DisableAutomaticKeyGeneration();
        // On one machine, who restarts it signs in again.
        var current = Security.ReadKey(builder.Configuration, Key, required: builder.Environment.IsProduction()) ?? RandomNumberGenerator.GetBytes(32);
        var previous = Security.ReadKey(builder.Configuration, Previous, required: false);
        protection.AddKeyManagementOptions(options => options.XmlRepository = new ConfiguredKeys(previous is null ? [current] : [previous, current]));
    }

    /// <param name="keys">The last one encrypts, all decrypt.</param>
    private sealed class ConfiguredKeys(IReadOnlyList<byte[]> keys) : IXmlRepository
    {
        private static readonly DateTimeOffset Begin = new(2020, 1, 1, 0, 0, 0, TimeSpan.Zero);
        private static readonly DateTimeOffset End = new(2200, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public IReadOnlyCollection<XElement> GetAllElements() => [.. keys.Select((key, index) => Element(key, Begin.AddDays(index)))];

        public void StoreElement(XElement element, string friendlyName) => throw new InvalidOperationException("Keys are configured, not stored.");

        private static XElement Element(byte[] key, DateTimeOffset activation)
        {
            var id = new Guid(HKDF.DeriveKey(HashAlgorithmName.SHA256, key, 16, info: "huzhu console cookie key id"u8.ToArray()));
            var master = HKDF.DeriveKey(HashAlgorithmName.SHA256, key, 64, info: "huzhu console cookies"u8.ToArray());
            return new XElement("key", new XAttribute("id", id), new XAttribute("version", 1),
                new XElement("creationDate", activation), new XElement("activationDate", activation), new XElement("expirationDate", End),
                new XElement("descriptor",
                    new XAttribute("deserializerType", "Microsoft.AspNetCore.DataProtection.AuthenticatedEncryption.ConfigurationModel.AuthenticatedEncryptorDescriptorDeserializer, Microsoft.AspNetCore.DataProtection"),
                    new XElement("descriptor",
                        new XElement("encryption", new XAttribute("algorithm", "AES_256_CBC")),
                        new XElement("validation", new XAttribute("algorithm", "HMACSHA256")),
                        new XElement("masterKey", new XElement("value", Convert.ToBase64String(master))))));
        }
    }
}
