using System.Security.Cryptography;
using Huzhu.ServiceDefaults;
using Huzhu.TestKit;
using Xunit;

namespace Huzhu.Tests.Integration.ServiceDefaults;

public sealed class PersonalDataTests(Servers servers)
{
    private sealed record Contact(string Name, string Phone);

    private static readonly Contact Lin = new("Lin", "+8613800000000");
    private static readonly CancellationToken Never = CancellationToken.None;

    [Fact]
    public async Task what_was_protected_is_revealed_until_the_person_is_erased()
    {
        await using var service = await StartAsync();
        var person = Guid.NewGuid();
        var data = await service.Vault.ProtectAsync(person, Lin, Never);
        Assert.DoesNotContain("Lin", System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(data.CipherText)));
        Assert.Equal(Lin, await service.Vault.RevealAsync<Contact>(person, data, Never));

        await using var session = service.Store.LightweightSession();
        PersonalDataVault.Erase(session, person);
        Assert.NotNull(await service.Vault.RevealAsync<Contact>(person, data, Never));
        await session.SaveChangesAsync(Never);
        service.Vault.Forget(person);
        Assert.Null(await service.Vault.RevealAsync<Contact>(person, data, Never));
        Assert.False(await service.Vault.HasKeyAsync(person, Never));
    }

    [Fact]
    public async Task a_hash_of_two_people_ends_with_either()
    {
        await using var service = await StartAsync();
        var (person, other) = (Guid.NewGuid(), Guid.NewGuid());
        Assert.Null(await service.Vault.HashAsync([person, other], "intake"u8.ToArray(), Never));
        await service.Vault.PrepareAsync([person, other], Never);
        var hash = await service.Vault.HashAsync([person, other], "intake"u8.ToArray(), Never);
        Assert.Equal(hash, await service.Vault.HashAsync([person, other], "intake"u8.ToArray(), Never));
        Assert.NotEqual(hash, await service.Vault.HashAsync([person, other], "another"u8.ToArray(), Never));
        Assert.NotEqual(hash, await service.Vault.HashAsync([person], "intake"u8.ToArray(), Never));
        await using var session = service.Store.LightweightSession();
        PersonalDataVault.Erase(session, other);
        await session.SaveChangesAsync(Never);
        service.Vault.Forget(other);
        Assert.Null(await service.Vault.HashAsync([person, other], "intake"u8.ToArray(), Never));
    }

    [Fact]
    public async Task the_same_data_never_looks_the_same_and_cannot_be_moved_to_another_person()
    {
        await using var service = await StartAsync();
        var (person, other) = (Guid.NewGuid(), Guid.NewGuid());
        var data = await service.Vault.ProtectAsync(person, Lin, Never);
        Assert.NotEqual(data, await service.Vault.ProtectAsync(person, Lin, Never));
        await service.Vault.ProtectAsync(other, Lin, Never);
        await Assert.ThrowsAnyAsync<CryptographicException>(() => service.Vault.RevealAsync<Contact>(other, data, Never));
    }

    [Fact]
    public async Task callers_that_make_a_persons_key_at_once_agree_on_one()
    {
        var (database, broker) = (await servers.CreateDatabaseAsync("vault"), await servers.CreateVirtualHostAsync());
        await using var first = await SampleService.StartAsync(database, broker);
        await using var second = await SampleService.StartAsync(database, broker);
        var person = Guid.NewGuid();
        var protections = await Task.WhenAll(Enumerable.Range(0, 20).Select(index =>
            (index % 2 == 0 ? first : second).Vault.ProtectAsync(person, Lin, Never)));
        foreach (var data in protections)
            Assert.Equal(Lin, await second.Vault.RevealAsync<Contact>(person, data, Never));
    }

    [Fact]
    public async Task the_master_key_can_be_changed_while_the_previous_one_is_kept()
    {
        var (database, broker) = (await servers.CreateDatabaseAsync("vault"), await servers.CreateVirtualHostAsync());
        var (old, current) = (RandomNumberGenerator.GetBytes(32), RandomNumberGenerator.GetBytes(32));
        var person = Guid.NewGuid();
        Protected data;
        await using (var before = await SampleService.StartAsync(database, broker, masterKey: old))
            data = await before.Vault.ProtectAsync(person, Lin, Never);
        await using var rotating = await SampleService.StartAsync(database, broker, masterKey: current, previousMasterKey: old);
        Assert.Equal(Lin, await rotating.Vault.RevealAsync<Contact>(person, data, Never));
    }

    /// <summary>No moment without a replica that can read: first all take the next key, then all wrap with it, then the old one goes.</summary>
    [Fact]
    public async Task replicas_on_both_sides_of_a_step_of_a_rotation_read_what_the_other_wrote()
    {
        var (database, broker) = (await servers.CreateDatabaseAsync("vault"), await servers.CreateVirtualHostAsync());
        var (old, next) = (RandomNumberGenerator.GetBytes(32), RandomNumberGenerator.GetBytes(32));
        await using var before = await SampleService.StartAsync(database, broker, masterKey: old, previousMasterKey: next);
        await using var after = await SampleService.StartAsync(database, broker, masterKey: next, previousMasterKey: old);
        foreach (var (writes, reads) in new[] { (before, after), (after, before) })
        {
            var person = Guid.NewGuid();
            Assert.Equal(Lin, await reads.Vault.RevealAsync<Contact>(person, await writes.Vault.ProtectAsync(person, Lin, Never), Never));
        }
    }

    private async Task<SampleService> StartAsync() =>
        await SampleService.StartAsync(await servers.CreateDatabaseAsync("vault"), await servers.CreateVirtualHostAsync());
}
